"""What a record says is removed and left, against counting in loaded models and written files."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from tests.artefacts.variants import on_disk, random_keeps
from tests.models.tiny_models import ARCHITECTURES, load_model, save_tiny_model, write_manifest
from workflow_scripts.artefacts.mask_records import MaskRecord, read_mask_record
from workflow_scripts.artefacts.masks import VariantFiles, read_pruned
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned, export, note_export
from workflow_scripts.artefacts.removal_ratios import count_removed
from workflow_scripts.models.checkpoints import linears, open_checkpoint
from workflow_scripts.models.tensors import save_tensors

MODELS = [(architecture, tied) for architecture in ARCHITECTURES for tied in (False, True)]
every_model = pytest.mark.parametrize(("architecture", "tied"), MODELS)
OUT = "model.layers.1.self_attn.o_proj"


def counted(model: torch.nn.Module) -> tuple[int, int]:
    """Weights of the blocks' linears and of all parameters, tied ones once, that are not zero."""
    blocks = [module for module in model.model.layers.modules() if hasattr(module, "in_features")]
    parts = [linear.weight for linear in blocks], list(model.parameters())
    return tuple(sum(int(torch.count_nonzero(p)) for p in part) for part in parts)


def assert_shares(record: MaskRecord, folder: Path, pruned: torch.nn.Module) -> None:
    (of_blocks, of_all), (left_in_blocks, left) = counted(load_model(folder)), counted(pruned)
    assert record.parameters == of_all
    assert record.removed_fraction == (of_blocks - left_in_blocks) / of_blocks
    assert record.removed_of_all == (of_all - left) / of_all


def applied(folder: Path, files: VariantFiles) -> torch.nn.Module:
    model = load_model(folder)
    apply_pruned(model, read_pruned(files), open_checkpoint(folder))
    return model


@every_model
@pytest.mark.parametrize("removed", [(), (0, 2)])
@pytest.mark.parametrize("masked", [False, True])
def test_shares_are_those_of_the_model_in_memory(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    architecture: str,
    tied: bool,
    removed: tuple[int, ...],
    masked: bool,
) -> None:
    folder = tiny_model(architecture, tied=tied)
    files = on_disk(tmp_path, folder, random_keeps(folder) if masked else {}, removed)
    record = read_mask_record(files.record)
    assert_shares(record, folder, applied(folder, files))
    whole = not masked and not removed
    assert (record.removed_fraction == 0) == (record.removed_of_all == 0) == whole


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_new_biases_add_to_the_model(
    tmp_path: Path, tiny_model: Callable[..., Path], architecture: str
) -> None:
    folder = tiny_model(architecture)
    keeps = {OUT + ".weight": random_keeps(folder)[OUT + ".weight"]}
    files = on_disk(tmp_path, folder, keeps, (), {OUT + ".bias": torch.ones(18)})
    assert_shares(read_mask_record(files.record), folder, applied(folder, files))


def test_a_delta_is_part_of_what_it_changes(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder, name = tiny_model("qwen3"), OUT + ".weight"
    rows, columns = open_checkpoint(folder).shapes[name]
    delta = {f"{name}.lora_A": torch.ones(2, columns), f"{name}.lora_B": torch.ones(rows, 2)}
    files = on_disk(tmp_path, folder, random_keeps(folder), (), delta, {name: 0.5})
    assert_shares(read_mask_record(files.record), folder, applied(folder, files))


def test_a_tied_head_that_is_stored_twice_counts_once(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "model", "qwen2", tied=True)
    with safe_open(folder / "model.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
    write_manifest(folder)
    files = on_disk(tmp_path / "variant", folder, random_keeps(folder), (1,))
    assert_shares(read_mask_record(files.record), folder, applied(folder, files))


def sliced(folder: Path, width: int) -> dict[str, tuple[int, ...]]:
    """Shapes in a model whose hidden states have fewer features, with adapters and a head."""
    checkpoint = open_checkpoint(folder)
    shapes = {
        name: tuple(width if size == 18 else size for size in shape)
        for name, shape in checkpoint.shapes.items()
        if len(shape) > 1
    }
    adapters = {
        f"model.layers.{block}.{part}_shortcut": (width, width)
        for block in range(checkpoint.blocks)
        for part in ("attention", "mlp")
    }
    return shapes | adapters | {"lm_head.weight": (64, width)}


@pytest.mark.parametrize("tied", [False, True])
def test_tensors_of_another_shape_count_as_they_are_stored(
    tiny_model: Callable[..., Path], tied: bool
) -> None:
    """Slicing to so few features that adapters, and a head of its own, weigh more."""
    folder = tiny_model("llama", tied=tied)
    checkpoint = open_checkpoint(folder)
    in_blocks = sum(linear.weights for linear in linears(checkpoint))
    for width in (16, 6):
        stored = sliced(folder, width)
        found = count_removed(checkpoint, (), {}, stored)
        heads = 64 * 18 if not tied else 0
        norms = 18 * (2 * 3 + 1)
        assert found.parameters == in_blocks + norms + 64 * 18 + heads
        linear = sum(
            width * (shape[0] if shape[1] == 18 else shape[1])
            if (shape[0] == 18) != (shape[1] == 18)
            else width * width
            for shape in (linear.shape for linear in linears(checkpoint))
        )
        left_in_blocks = linear + 2 * 3 * width * width
        assert found.of_blocks == (in_blocks - left_in_blocks) / in_blocks
        left = left_in_blocks + norms + 2 * 64 * width
        assert found.of_all == (found.parameters - left) / found.parameters
    wide = count_removed(checkpoint, (), {}, sliced(folder, 18))
    assert wide.of_all < 0 and wide.of_blocks < 0


@every_model
@pytest.mark.parametrize("removed", [(), (1,)])
def test_an_export_is_as_large_as_its_record_says(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    architecture: str,
    tied: bool,
    removed: tuple[int, ...],
) -> None:
    folder = tiny_model(architecture, tied=tied, dtype=torch.bfloat16)
    checkpoint = open_checkpoint(folder)
    files = on_disk(tmp_path, folder, random_keeps(folder), removed)
    before = read_mask_record(files.record)
    note_export(files, checkpoint)
    record = read_pruned(files).record
    assert record.model_copy(update={"export": None}) == before
    output = tmp_path / "checkpoint"
    export(checkpoint, read_pruned(files), output)
    with safe_open(output / "model.safetensors", "pt") as file:
        tensors = [file.get_tensor(name) for name in file.keys()]  # noqa: SIM118
    assert record.export.bytes == sum(tensor.nbytes for tensor in tensors)
    opened = load_model(output)
    assert record.export.parameters == sum(p.numel() for p in opened.parameters())
    # a mask saves nothing, removed blocks all that they held
    dense = load_model(folder)
    gone = sum(p.numel() for block in removed for p in dense.model.layers[block].parameters())
    assert record.export.parameters == record.parameters - gone


def test_what_no_plain_checkpoint_can_hold_has_no_export(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = tiny_model("qwen3")
    files = on_disk(tmp_path, folder, random_keeps(folder), (), {OUT + ".bias": torch.ones(18)})
    note_export(files, open_checkpoint(folder))
    record = read_mask_record(files.record)
    assert record.export is None and record.removed_of_all > 0
