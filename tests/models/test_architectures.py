"""A model whose files are not what its config declares is met before anything is computed."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig

from tests.models.tiny_models import write_manifest
from workflow_scripts.errors import InputError
from workflow_scripts.models import architectures
from workflow_scripts.models.checkpoints import open_checkpoint
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import read_tensor, save_tensors

HEAD, EMBEDDING, NORM = "lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"
BIAS = "model.layers.1.self_attn.q_proj.bias"
FREQUENCIES = "model.layers.0.self_attn.rotary_emb.inv_freq"


@pytest.fixture
def changed(tmp_path: Path, tiny_model: Callable[..., Path]) -> Callable[..., Path]:
    """A tiny model with other entries in its config, or with tensors taken out or put in."""

    def make(
        architecture: str = "llama",
        out: tuple[str, ...] = (),
        put: dict[str, Tensor] | None = None,
        tied: bool = False,
        **entries: object,
    ) -> Path:
        folder = Path(shutil.copytree(tiny_model(architecture, tied=tied), tmp_path / "model"))
        config = json.loads((folder / "config.json").read_text()) | entries
        (folder / "config.json").write_text(json.dumps(config))
        file = open_tensors(folder / "model.safetensors")
        tensors = {name: read_tensor(file, name) for name in file.entries if name not in out}
        save_tensors(file.path, tensors | (put or {}), file.metadata)
        write_manifest(folder)
        return folder

    return make


def check(folder: Path) -> None:
    checkpoint = open_checkpoint(folder)
    architectures.check_values(checkpoint, architectures.empty_model(checkpoint))


def refused(folder: Path) -> str:
    """The line with which a model is refused, from its folder's name on."""
    with pytest.raises(InputError) as error:
        check(folder)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(str(folder)).lstrip("/")


@pytest.mark.parametrize("name", [HEAD, NORM, "model.layers.2.input_layernorm.weight"])
def test_a_tensor_that_would_be_drawn_at_random(changed: Callable[..., Path], name: str) -> None:
    assert refused(changed(out=(name,))) == (
        f": {name} is missing: config.json, opened as LlamaForCausalLM, asks for it, and no file "
        "has it"
    )


def test_biases_that_only_the_config_has(changed: Callable[..., Path]) -> None:
    assert "self_attn.k_proj.bias is missing: " in refused(changed(attention_bias=True))


@pytest.mark.parametrize("name", [BIAS, "score.weight", "model.extra.weight"])
def test_a_tensor_that_would_be_dropped(changed: Callable[..., Path], name: str) -> None:
    assert refused(changed(put={name: torch.ones(18)})) == (
        f"model.safetensors: {name} has no place in the model: config.json, opened as "
        "LlamaForCausalLM, does not ask for it, and it would be left out; correct the config, or "
        "take it out"
    )


def test_a_tensor_of_another_shape_or_dtype(changed: Callable[..., Path]) -> None:
    assert refused(changed(put={NORM: torch.ones(19)})) == (
        f"model.safetensors: {NORM} is of shape (19,), config.json, opened as LlamaForCausalLM, "
        "asks for (18,)"
    )


def test_a_norm_in_whole_numbers(changed: Callable[..., Path]) -> None:
    line = refused(changed(put={NORM: torch.ones(18, dtype=torch.int8)}))
    assert line == f"model.safetensors: {NORM} is I8; weights can be BF16, F16, F32, F64"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(("name", "size"), [(HEAD, (64, 18)), (EMBEDDING, (64, 18)), (NORM, (18,))])
def test_one_value_of_any_tensor_that_is_not_finite(
    changed: Callable[..., Path], name: str, size: tuple[int, ...], value: float
) -> None:
    wrong = torch.ones(size)
    wrong.view(-1)[-1] = value
    line = refused(changed(put={name: wrong}))
    assert line == f"model.safetensors: {name} holds NaN or infinite values"


def test_frequencies_in_the_blocks_of_old_checkpoints_are_harmless(
    changed: Callable[..., Path],
) -> None:
    check(changed(put={FREQUENCIES: torch.ones(3)}))


def test_the_head_of_a_tied_model_may_be_there_if_it_is_the_embedding(
    changed: Callable[..., Path], tiny_model: Callable[..., Path]
) -> None:
    file = open_tensors(tiny_model(tied=True) / "model.safetensors")
    check(changed(tied=True, put={HEAD: read_tensor(file, EMBEDDING)}))


def test_the_head_of_a_tied_model_that_is_another(changed: Callable[..., Path]) -> None:
    assert refused(changed(tied=True, put={HEAD: torch.ones(64, 18)})) == (
        f"model.safetensors: {HEAD} is not equal to {EMBEDDING}, and config.json says that they "
        "are one (tie_word_embeddings): set it to false, or take one out"
    )


@pytest.mark.parametrize(
    "entries",
    [
        {"max_position_embeddings": None},
        {"max_position_embeddings": 32.0},
        {"layer_types": ["full_attention"] * 2},
        {"eos_token_id": "<end>"},
        {"hidden_size": None},
        {"num_attention_heads": 0},
        {"rope_parameters": [1]},
        {"hidden_act": "mystery"},
        {"sliding_window": "wide"},
    ],
    ids=str,
)
def test_a_config_that_no_model_can_be_built_from(
    changed: Callable[..., Path], entries: dict[str, object]
) -> None:
    assert refused(changed(**entries)).startswith("config.json: ")


@pytest.mark.parametrize("settings", [{"quant_method": "bitsandbytes", "load_in_4bit": True}, {}])
def test_settings_of_a_quantisation_that_were_left_over(
    changed: Callable[..., Path], settings: dict[str, object]
) -> None:
    assert refused(changed(quantization_config=settings)) == (
        "config.json: 'quantization_config' says that the weights are quantised; pruning needs "
        "plain ones: take the key out if they are, else take the model that was quantised"
    )


def test_no_model_is_loaded_that_is_not_whole(changed: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=f"{HEAD} is missing"):
        architectures.load_model(open_checkpoint(changed(out=(HEAD,))), torch.float32)


@pytest.mark.parametrize(
    ("architecture", "supported"),
    [("qwen2", True), ("gpt_neox", False), ("mixtral", True), ("gpt_oss", False)],
)
def test_a_config_alone_tells_whether_its_model_is_supported(
    tmp_path: Path, architecture: str, supported: bool
) -> None:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    config = AutoConfig.for_model(architecture, num_hidden_layers=1, vocab_size=8, **sizes)
    config.architectures = [f"{architecture}ForCausalLM"]
    config.save_pretrained(tmp_path)
    if not supported:
        said = f"{tmp_path}: architecture {architecture}ForCausalLM is not supported: "
        with pytest.raises(InputError, match=re.escape(said)):
            architectures.check_described(tmp_path)
    else:
        architectures.check_described(tmp_path)
