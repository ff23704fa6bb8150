"""A pruned model is the same to the bit as a stream, a folder and a model in memory."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.artefacts.variants import in_memory, on_disk, random_keeps
from tests.models.tiny_models import load_model, save_tiny_model, token_ids, write_manifest
from workflow_scripts.artefacts.masks import Pruned, read_pruned
from workflow_scripts.artefacts.pruned_checkpoints import (
    apply_pruned,
    export,
    exported_config,
    exported_tensors,
    pruned_tensors,
)
from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import load_tensor, open_checkpoint

UP = "model.layers.1.mlp.up_proj.weight"
OUT = "model.layers.2.self_attn.o_proj.weight"
NORM = "model.norm.weight"
DOWN_BIAS = "model.layers.2.mlp.down_proj.bias"


@pytest.fixture
def model(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A tiny model of the architecture asked for, without sliding windows, in bf16."""
    folder = save_tiny_model(tmp_path / "model", request.param, dtype=torch.bfloat16)
    config = json.loads((folder / "config.json").read_text())
    windows = ("use_sliding_window", "sliding_window", "max_window_layers", "layer_types")
    config = {key: value for key, value in config.items() if key not in windows}
    (folder / "config.json").write_text(json.dumps(config))
    write_manifest(folder)
    return folder


every_architecture = pytest.mark.parametrize("model", ["llama", "qwen2", "qwen3"], indirect=True)
with_biases = pytest.mark.parametrize("model", ["llama", "qwen2"], indirect=True)


def random(*shape: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape))).to(dtype)


def changes(model: Path) -> tuple[dict[str, Tensor], dict[str, float]]:
    """A changed linear, a changed norm, a low-rank delta of another linear; its scale."""
    shapes = open_checkpoint(model).shapes
    rows, columns = shapes[OUT]
    changed = {
        UP: random(*shapes[UP]),
        NORM: random(*shapes[NORM]),
        f"{OUT}.lora_A": random(2, columns, dtype=torch.float32),
        f"{OUT}.lora_B": random(rows, 2, dtype=torch.float32),
    }
    return changed, {OUT: 0.25}


def assert_one_model(model: Path, pruned: Pruned, place: Path) -> dict[str, Tensor]:
    """Stream, folder and memory agree; returns the stream's tensors."""
    checkpoint = open_checkpoint(model)
    export(checkpoint, pruned, place)
    exported, stream = open_checkpoint(place), dict(pruned_tensors(checkpoint, pruned))
    assert set(exported.files) == set(stream)
    for name, tensor in stream.items():
        assert torch.equal(load_tensor(exported, name), tensor), name
        assert load_tensor(exported, name).dtype == tensor.dtype
    assert exported.config == exported_config(checkpoint, pruned)
    for dtype in (torch.bfloat16, torch.float32):
        applied, opened = load_model(model, dtype), load_model(place, dtype)
        apply_pruned(applied, pruned, checkpoint)
        parameters = dict(opened.named_parameters())
        for name, parameter in applied.named_parameters():
            assert torch.equal(parameter, parameters.pop(name)), name
        assert all(name.endswith(".bias") and not p.any() for name, p in parameters.items())
        with torch.no_grad():
            ids = token_ids(2, 9).long()
            torch.testing.assert_close(opened(ids).logits, applied(ids).logits)
    return stream


@every_architecture
@pytest.mark.parametrize("removed", [(), (0,)])
def test_changed_tensors_and_deltas(model: Path, tmp_path: Path, removed: tuple[int, ...]) -> None:
    keeps, (changed, scales) = random_keeps(model), changes(model)
    pruned = read_pruned(on_disk(tmp_path, model, keeps, removed, changed, scales))
    stream = assert_one_model(model, pruned, tmp_path / "checkpoint")
    up, o = (name.replace(*shift) for name, shift in zip((UP, OUT), shifts(removed), strict=True))
    assert torch.equal(stream[up], changed[UP] * keeps[UP])
    dense = load_tensor(open_checkpoint(model), OUT)
    delta = 0.25 * (changed[f"{OUT}.lora_B"].double() @ changed[f"{OUT}.lora_A"].double())
    expected = (dense.double() + delta) * keeps[OUT]
    torch.testing.assert_close(stream[o].double(), expected, rtol=2**-7, atol=1e-6)
    assert torch.equal(stream[NORM], changed[NORM])
    assert pruned.record.engines is None  # any


def shifts(removed: tuple[int, ...]) -> list[tuple[str, str]]:
    """Old and new number of the blocks of `UP` and `OUT`, as they stand in a name."""
    gone = len(removed)
    return [(f".{block}.", f".{block - gone}.") for block in (1, 2)]


@with_biases
@pytest.mark.parametrize("removed", [(), (0,)])
def test_new_biases(model: Path, tmp_path: Path, removed: tuple[int, ...]) -> None:
    shapes = open_checkpoint(model).shapes
    bias = random(shapes[DOWN_BIAS.replace("bias", "weight")][0])
    files = on_disk(tmp_path, model, random_keeps(model), removed, {DOWN_BIAS: bias})
    pruned = read_pruned(files)
    stream = assert_one_model(model, pruned, tmp_path / "checkpoint")
    assert torch.equal(stream[DOWN_BIAS.replace(".2.", f".{2 - len(removed)}.")], bias)
    config = json.loads((tmp_path / "checkpoint/config.json").read_text())
    assert (config["architectures"], config["mlp_bias"]) == (["LlamaForCausalLM"], True)
    assert pruned.record.engines is None  # any


@pytest.mark.parametrize("model", ["llama"], indirect=True)
def test_new_biases_of_attention(model: Path, tmp_path: Path) -> None:
    name = OUT.replace("weight", "bias")
    changed = {name: random(open_checkpoint(model).shapes[OUT][0])}
    stream = assert_one_model(model, in_memory(model, {}, (), changed), tmp_path / "checkpoint")
    assert sum(name.endswith(".bias") for name in stream) == 4 * 3


@pytest.mark.parametrize("model", ["qwen2"], indirect=True)
def test_a_bias_that_the_model_has_is_only_changed(model: Path, tmp_path: Path) -> None:
    name = "model.layers.0.self_attn.q_proj.bias"
    changed = {name: random(*open_checkpoint(model).shapes[name])}
    pruned = in_memory(model, {}, (), changed)
    stream = assert_one_model(model, pruned, tmp_path / "checkpoint")
    assert torch.equal(stream[name], changed[name])
    assert json.loads((tmp_path / "checkpoint/config.json").read_text())["model_type"] == "qwen2"


@pytest.mark.parametrize("model", ["qwen3"], indirect=True)
def test_qwen3_has_new_biases_in_memory_alone(model: Path, tmp_path: Path) -> None:
    bias = random(open_checkpoint(model).shapes[DOWN_BIAS.replace("bias", "weight")][0])
    files = on_disk(tmp_path, model, random_keeps(model), (), {DOWN_BIAS: bias})
    pruned = read_pruned(files)
    assert pruned.record.engines == ("transformers",)
    applied, by_hand = load_model(model), load_model(model)
    apply_pruned(applied, pruned, open_checkpoint(model))
    apply_pruned(by_hand, in_memory(model, random_keeps(model)), open_checkpoint(model))
    by_hand.model.layers[2].mlp.down_proj.register_forward_hook(
        lambda module, inputs, output: output + bias.float()
    )
    with torch.no_grad():
        ids = token_ids(2, 9).long()
        torch.testing.assert_close(applied(ids).logits, by_hand(ids).logits)
    with pytest.raises(InputError, match="a checkpoint of qwen3 has no place for the biases"):
        exported_tensors(open_checkpoint(model), pruned)


def test_a_window_that_matters_cannot_become_a_llama(tiny_model: Callable[..., Path]) -> None:
    folder = tiny_model("qwen2")
    changed = {DOWN_BIAS: torch.ones(18)}
    with pytest.raises(InputError, match="sliding window.* of 4 tokens"):
        exported_config(open_checkpoint(folder), in_memory(folder, {}, (), changed))


@pytest.mark.parametrize(
    ("name", "shape"), [("model.layers.0.router.weight", (1, 18)), (UP, (18, 25))]
)
def test_weights_that_do_not_fit(
    tiny_model: Callable[..., Path], name: str, shape: tuple[int, ...]
) -> None:
    folder = tiny_model("llama")
    pruned = in_memory(folder, {}, (), {name: torch.ones(shape)})
    with pytest.raises(InputError, match=name):
        apply_pruned(load_model(folder), pruned, open_checkpoint(folder))


@pytest.mark.parametrize("model", ["llama"], indirect=True)
def test_weights_are_held_against_their_record(model: Path, tmp_path: Path) -> None:
    changed, scales = changes(model)
    files = on_disk(tmp_path / "a", model, random_keeps(model), (), changed, scales)
    other = on_disk(tmp_path / "b", model, random_keeps(model), (), changed, {OUT: 0.5})
    digests = {read_pruned(found).digest for found in (files, other)}
    assert len(digests) == 2
    content = bytearray(files.weights.read_bytes())
    content[-1] ^= 1
    files.weights.write_bytes(content)
    with pytest.raises(InputError, match=r"weights.safetensors: damaged: model\.norm"):
        dict(pruned_tensors(open_checkpoint(model), read_pruned(files)))
    shutil.copyfile(other.weights, files.weights)
    with pytest.raises(InputError, match="does not hold the weights that"):
        read_pruned(files)
