import gc
import json
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM

from tests.models.tiny_models import ARCHITECTURES, VOCABULARY, load_model, token_ids
from workflow_scripts.errors import InputError
from workflow_scripts.models import blocks
from workflow_scripts.models.checkpoints import load_tensor, open_checkpoint
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import read_tensor, save_tensors


@torch.no_grad()
def walk(folder: Path, input_ids: torch.Tensor) -> list[torch.Tensor]:
    """The hidden states entering block 0 and leaving each block."""
    decoder = blocks.open_decoder(open_checkpoint(folder))
    hidden, calls = blocks.embed(decoder, input_ids)
    states = [hidden]
    for index, call in enumerate(calls):
        states.append(blocks.run_block(blocks.load_block(decoder, index), states[-1], call))
    return states


@torch.no_grad()
def transformers_states(folder: Path, input_ids: torch.Tensor) -> tuple[list, torch.Tensor]:
    """The same hidden states, seen by hooks on the whole model, and its logits."""
    model = load_model(folder)
    states: list[torch.Tensor] = []
    layers = model.model.layers
    layers[0].register_forward_pre_hook(lambda layer, inputs: states.append(inputs[0]))
    for layer in layers:
        layer.register_forward_hook(lambda layer, inputs, output: states.append(output))
    return states, model(input_ids.long(), use_cache=False).logits


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_the_walk_ends_in_the_logits_of_transformers(
    tiny_model: Callable[..., Path], architecture: str, sharded: bool, tied: bool
) -> None:
    folder = tiny_model(architecture, sharded=sharded, tied=tied)
    input_ids = token_ids(3, 11)
    states, logits = transformers_states(folder, input_ids)
    walked = walk(folder, input_ids)
    assert len(walked) == len(states) == 4
    for ours, theirs in zip(walked, states, strict=True):
        assert torch.equal(ours, theirs)
    model = load_model(folder)
    norm, checkpoint = model.model.norm, open_checkpoint(folder)
    head = load_tensor(checkpoint, "model.embed_tokens.weight" if tied else "lm_head.weight")
    with torch.no_grad():
        assert torch.equal(functional.linear(norm(walked[-1]), head), logits)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_checkpoints_are_walked_in_fp32(
    tiny_model: Callable[..., Path], dtype: torch.dtype
) -> None:
    folder = tiny_model("qwen3", dtype=dtype)
    walked = walk(folder, token_ids(2, 9))
    states, _ = transformers_states(folder, token_ids(2, 9))
    assert walked[-1].dtype == torch.float32
    assert torch.equal(walked[-1], states[-1])


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("mistral", {"sliding_window": 4}),
        ("gemma2", {"head_dim": 8, "sliding_window": 4}),  # scaled embeddings, four norms a block
        ("granite", {"embedding_multiplier": 3.0, "residual_multiplier": 0.5}),
        ("smollm3", {}),  # every fourth block without rotary embedding
        ("olmo2", {}),  # norms after attention and MLP
    ],
)
def test_architectures_that_are_not_named_anywhere(
    tmp_path: Path, architecture: str, options: dict
) -> None:
    config = AutoConfig.for_model(
        architecture,
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=4,
        num_attention_heads=2,
        num_key_value_heads=1,
        pad_token_id=VOCABULARY - 1,  # a row of the embedding that is not read
        bos_token_id=1,
        eos_token_id=2,
        **options,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    input_ids = token_ids(2, 10)
    states, _ = transformers_states(tmp_path, input_ids)
    for ours, theirs in zip(walk(tmp_path, input_ids), states, strict=True):
        assert torch.equal(ours, theirs)


def test_one_block_is_in_memory_and_the_model_stays_without_weights(
    tiny_model: Callable[..., Path],
) -> None:
    decoder = blocks.open_decoder(open_checkpoint(tiny_model()))
    hidden, calls = blocks.embed(decoder, token_ids(1, 5))
    earlier: list[weakref.ref[nn.Module]] = []
    for index, call in enumerate(calls):
        block = blocks.load_block(decoder, index)
        gc.collect()
        assert all(reference() is None for reference in earlier)
        earlier.append(weakref.ref(block))
        hidden = blocks.run_block(block, hidden, call).detach()
        del block
    assert all(parameter.is_meta for parameter in decoder.model.parameters())


def test_only_the_embedding_rows_that_occur_are_read(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = Path(shutil.copytree(tiny_model(), tmp_path / "model"))
    input_ids = torch.tensor([[5, 9, 5, 63]])
    before = walk(folder, input_ids)
    file = open_tensors(folder / "model.safetensors")
    tensors = {name: read_tensor(file, name) for name in file.entries}
    unused = [token for token in range(VOCABULARY) if token not in (5, 9, 63)]
    tensors["model.embed_tokens.weight"][unused] = float("nan")
    save_tensors(folder / "model.safetensors", tensors, file.metadata)
    assert torch.equal(walk(folder, input_ids)[-1], before[-1])


@pytest.mark.parametrize("token", [-1, VOCABULARY])
def test_a_token_that_the_model_has_not(tiny_model: Callable[..., Path], token: int) -> None:
    decoder = blocks.open_decoder(open_checkpoint(tiny_model()))
    with pytest.raises(InputError, match=f"^token id {token} is not one of the model's 64 tokens$"):
        blocks.embed(decoder, torch.tensor([[3, token]]))


def changed_config(source: Path, folder: Path, **changes: object) -> Path:
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    return folder


def test_a_config_that_transformers_does_not_know(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = changed_config(tiny_model(), tmp_path / "model", model_type="mystery")
    with pytest.raises(InputError) as error:
        blocks.open_decoder(open_checkpoint(folder))
    line = str(error.value)
    assert line.startswith(f"{folder / 'config.json'}: transformers cannot read it: ")
    assert "mystery" in line and "\n" not in line


def test_a_config_that_is_code_is_never_run(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = changed_config(
        tiny_model(),
        tmp_path / "model",
        model_type="mystery",
        auto_map={"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"},
    )
    (folder / "own.py").write_text("raise SystemExit('was run')\n")
    with pytest.raises(InputError, match="config.json: transformers cannot read it: "):
        blocks.open_decoder(open_checkpoint(folder))


def test_weights_that_do_not_suit_the_config(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    wide = changed_config(tiny_model(), tmp_path / "wide", intermediate_size=26)
    with pytest.raises(InputError) as error:
        walk(wide, token_ids(1, 3))
    assert str(error.value) == (
        f"{wide / 'model.safetensors'}: model.layers.0.mlp.down_proj.weight is of shape (18, 25), "
        "config.json, opened as LlamaForCausalLM, asks for (18, 26)"
    )
    biased = changed_config(tiny_model(), tmp_path / "biased", attention_bias=True)
    with pytest.raises(InputError, match="self_attn.k_proj.bias is missing: config.json, opened "):
        walk(biased, token_ids(1, 3))
