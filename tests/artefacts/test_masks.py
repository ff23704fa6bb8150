import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.artefacts.variants import in_memory, on_disk, random_keeps
from tests.files.by_hand import without_checksum
from tests.models.tiny_models import ARCHITECTURES, load_model, token_ids
from workflow_scripts.artefacts.mask_records import MaskedLinear
from workflow_scripts.artefacts.masks import (
    Plan,
    PrunedLinear,
    nothing_pruned,
    pack,
    read_pruned,
    unpack,
    variant_files,
    write_pruned,
)
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned, shortened_config
from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import model_digest, open_checkpoint


@given(st.integers(1, 9), st.integers(1, 37), st.randoms(use_true_random=False))
def test_packing_round_trip(rows: int, columns: int, random) -> None:
    bits = [[random.random() < 0.5 for _ in range(columns)] for _ in range(rows)]
    keep = torch.tensor(bits)
    packed = pack(keep)
    assert packed.dtype == torch.uint8 and packed.shape == (-(-rows * columns // 8),)
    flat = [bit for row in bits for bit in row]
    for place, bit in enumerate(flat):
        assert (packed[place // 8] >> (place % 8)) & 1 == bit
    assert torch.equal(unpack(packed, (rows, columns)), keep)


def test_a_mask_is_read_as_it_was_written(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    folder = tiny_model("qwen3")
    keeps = random_keeps(folder)
    pruned = read_pruned(on_disk(tmp_path, folder, keeps, (1,)), model_digest(folder))
    record = pruned.record
    assert (record.blocks, record.removed_blocks, record.kept_blocks) == (3, (1,), (0, 2))
    assert record.model_digest == model_digest(folder)
    assert set(pruned.keep) == set(keeps)
    for name, keep in keeps.items():
        assert torch.equal(pruned.kept(name), keep)


def test_the_record_counts_what_is_removed(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    folder = tiny_model("llama")
    keeps = {name: keep for name, keep in random_keeps(folder).items() if "mlp" in name}
    files = on_disk(tmp_path, folder, keeps, (2,))
    record = json.loads(files.record.read_text())
    pruned = {name: int((~keep).sum()) for name, keep in keeps.items()}
    assert record["linears"] == {
        name: {
            "shape": list(keep.shape),
            "requested": 0.3,
            "achieved": pruned[name] / keep.numel(),
        }
        for name, keep in keeps.items()
    }
    per_block = 2 * 18 * 18 + 2 * 6 * 18 + 3 * 25 * 18
    here = sum(count for name, count in pruned.items() if ".layers.2." not in name)
    assert record["removed_fraction"] == (here + per_block) / (3 * per_block)
    assert {key: record[key] for key in ("format", "method", "options", "blocks")} == {
        "format": 1,
        "method": "magnitude",
        "options": {"option": 1},
        "blocks": 3,
    }


def test_a_mask_that_removes_nothing(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    folder = tiny_model("llama")
    pruned = read_pruned(on_disk(tmp_path, folder, {}))
    assert pruned.is_dense
    assert pruned.digest == nothing_pruned(model_digest(folder), 3).digest
    assert json.loads((tmp_path / "mask.json").read_text())["removed_fraction"] == 0
    model, input_ids = load_model(folder), token_ids(1, 6).long()
    before = model(input_ids).logits
    apply_pruned(model, pruned, open_checkpoint(folder))
    assert torch.equal(model(input_ids).logits, before)


def test_equal_masks_are_equal_bytes_and_the_digest_tells_others_apart(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = tiny_model("llama")
    keeps = random_keeps(folder)
    paths = [on_disk(tmp_path / name, folder, keeps) for name in "ab"]
    assert [p.read_bytes() for p in paths[0]] == [p.read_bytes() for p in paths[1]]
    name = "model.layers.2.mlp.up_proj.weight"
    flipped = keeps[name].clone()
    flipped[-1, -1] = ~flipped[-1, -1]
    others = [
        on_disk(tmp_path / "c", folder, {**keeps, name: flipped}),
        on_disk(tmp_path / "d", folder, keeps, (0,)),
        on_disk(tmp_path / "e", folder, {n: keep for n, keep in keeps.items() if n != name}),
    ]
    assert len({read_pruned(found).digest for found in [paths[0], *others]}) == 4


@pytest.mark.parametrize(
    ("removed", "digest"),
    [
        ((), "52554059daa8ca99c8f46fa8a7b7655dd0bc7b4ecc029c7bc110c92905990ebc"),
        ((1,), "bb7e9c28a399d005b3b3a22e06b96e57b33d7f0f16fcd333fc7662d0b8162a24"),
    ],
)
def test_the_digest_of_what_only_removes_is_what_stores_know_it_by(
    tmp_path: Path, tiny_model: Callable[..., Path], removed: tuple[int, ...], digest: str
) -> None:
    folder = tiny_model("llama")
    shapes = {
        f"model.layers.{block}.{name}_proj.weight": shape
        for block in (0, 2)
        for name, shape in (
            ("self_attn.q", (18, 18)),
            ("self_attn.k", (6, 18)),
            ("mlp.up", (25, 18)),
        )
    }
    keeps = {
        name: torch.arange(rows * columns).reshape(rows, columns) % 3 > 0
        for name, (rows, columns) in shapes.items()
    }
    assert read_pruned(on_disk(tmp_path, folder, keeps, removed)).digest == digest
    dense = "7ba6f73b56d1d2611fe609c7850773db954e217eb5b14af733bfb92dbd80d4ab"
    assert nothing_pruned("", 3).digest == dense


def refused(*arguments: object) -> str:
    with pytest.raises(InputError) as error:
        read_pruned(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@given(data=st.data())
def test_no_flipped_bit_of_a_mask_goes_unnoticed(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_model: Callable[..., Path],
    data: st.DataObject,
) -> None:
    folder = tiny_model("llama")
    files = on_disk(tmp_path_factory.getbasetemp(), folder, random_keeps(folder))
    content = bytearray(files.mask.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    content[data.draw(st.integers(header, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    files.mask.write_bytes(content)
    assert refused(files).startswith(f"{files.mask}: damaged: its digest is not the one in")


def test_damaged_masks_are_refused(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    folder = tiny_model("llama")
    files = on_disk(tmp_path, folder, random_keeps(folder))
    other = "0" * 64
    line = refused(files, other)
    assert line.startswith(f"{files.record}: mask of another model")
    assert model_digest(folder) in line and other in line
    whole = files.mask.read_bytes()
    files.mask.write_bytes(whole[:-3])
    assert refused(files).startswith(f"{files.mask}: ")
    files.mask.write_bytes(whole)
    for gone in (files.weights, files.mask, files.record):
        gone.unlink()
        assert refused(files).startswith(f"{gone}: ")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"format": 2}, ["format", "2", "1"]),
        ({"blocks": "3"}, ["blocks", "'3'"]),
        ({"linears": None}, ["linears", "None"]),
        ({"digest": ...}, ["digest", "required"]),
        ({"removed_blocks": [1, 0]}, ["removed_blocks", "(1, 0)", "3 blocks"]),
        ({"removed_blocks": [3]}, ["removed_blocks", "(3,)", "3 blocks"]),
        ({"removed_blocks": [0, 1, 2]}, ["removed_blocks", "(0, 1, 2)", "3 blocks"]),
        ({"removed_blocks": ["0"]}, ["removed_blocks", "'0'"]),
        ({"removed_blocks": [0]}, ["damaged: its digest is not the one in"]),
        ({"linears": {}}, ["damaged: its digest is not the one in"]),
    ],
)
def test_records_that_do_not_belong_to_the_mask(
    tmp_path: Path, tiny_model: Callable[..., Path], change: dict, found: list[str]
) -> None:
    folder = tiny_model("llama")
    files = on_disk(tmp_path, folder, random_keeps(folder))
    record = {**json.loads(files.record.read_text()), **change}
    record = {key: value for key, value in record.items() if value is not ...}
    without_checksum(files.record).write_text(json.dumps(record))
    line = refused(files)
    assert all(part in line for part in found), line


@pytest.mark.parametrize("shape", [None, [18], "18 x 18", [18, 0], [18.0, 18.0]])
def test_records_with_another_shape(
    tmp_path: Path, tiny_model: Callable[..., Path], shape: object
) -> None:
    folder = tiny_model("llama")
    files = on_disk(tmp_path, folder, random_keeps(folder))
    content = json.loads(files.record.read_text())
    name = "model.layers.0.self_attn.q_proj.weight"
    content["linears"][name]["shape"] = shape
    without_checksum(files.record).write_text(json.dumps(content))
    assert name in refused(files)


def test_a_record_that_names_no_removed_blocks_removes_none(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = tiny_model("llama")
    files = on_disk(tmp_path, folder, random_keeps(folder))
    record = json.loads(files.record.read_text())
    assert record.pop("removed_blocks") == []
    without_checksum(files.record).write_text(json.dumps(record))
    assert read_pruned(files).record.removed_blocks == ()


@pytest.mark.parametrize("shape", [(1, 18), (18, 1), (1, 1)])
def test_a_linear_may_have_one_row_or_column(shape: tuple[int, int]) -> None:
    text = json.dumps({"shape": shape, "requested": 0.5, "achieved": 0.5})
    linear = MaskedLinear.model_validate_json(text)
    assert (linear.shape, linear.weights) == (shape, shape[0] * shape[1])
    keep = torch.arange(linear.weights).reshape(shape) % 3 > 0
    assert torch.equal(unpack(pack(keep), shape), keep)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("removed", [(), (0,), (1,), (0, 2)])
def test_an_applied_mask_is_the_pruned_model(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    architecture: str,
    removed: tuple[int, ...],
) -> None:
    """Against hand work on the dense model: zeroed weights, removed blocks skipped by a hook."""
    folder = tiny_model(architecture)
    keeps, input_ids = random_keeps(folder), token_ids(2, 9).long()
    mask = read_pruned(on_disk(tmp_path, folder, keeps, removed), model_digest(folder))

    by_hand = load_model(folder)
    with torch.no_grad():
        for name, keep in keeps.items():
            by_hand.get_parameter(name).mul_(keep)
    for block in removed:
        by_hand.model.layers[block].register_forward_hook(lambda layer, inputs, output: inputs[0])

    model = load_model(folder)
    apply_pruned(model, mask, open_checkpoint(folder))
    with torch.no_grad():
        expected = by_hand(input_ids, use_cache=False).logits
        assert torch.equal(model(input_ids, use_cache=False).logits, expected)
        # token by token through the key-value cache, which goes by the blocks' numbers
        cache, logits = None, []
        for step in range(input_ids.shape[1]):
            out = model(input_ids[:, step : step + 1], past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            logits.append(out.logits)
    torch.testing.assert_close(torch.cat(logits, 1), expected, rtol=1e-4, atol=1e-4)
    assert len(cache) == model.config.num_hidden_layers == 3 - len(removed)
    assert [layer.self_attn.layer_idx for layer in model.model.layers] == [*range(3 - len(removed))]


def test_a_config_is_shortened_where_it_speaks_of_blocks() -> None:
    config = {
        "num_hidden_layers": 3,
        "layer_types": ["full_attention", "sliding_attention", "full_attention"],
        "no_rope_layers": [1, 0, 1],
        "max_window_layers": 2,
        "eos_token_id": [1, 2, 3],
        "architectures": ["A", "B", "C"],
        "others": [1, 2],
        "hidden_size": 3,
    }
    assert shortened_config(config, (0, 2)) == {
        "num_hidden_layers": 2,
        "layer_types": ["full_attention", "full_attention"],
        "no_rope_layers": [1, 1],
        "max_window_layers": 1,
    }


def test_sliding_windows_stay_with_their_blocks(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = tiny_model("qwen2")
    model = load_model(folder)
    types = ["full_attention", "sliding_attention", "sliding_attention"]
    assert (model.config.layer_types, model.config.max_window_layers) == (types, 1)
    apply_pruned(model, in_memory(folder, removed=(0,)), open_checkpoint(folder))
    assert (model.config.layer_types, model.config.max_window_layers) == (types[1:], 0)


@pytest.mark.parametrize(
    ("blocks", "name", "shape", "found"),
    [
        (4, None, None, "mask is for a model of 4 blocks, this one has 3"),
        (3, "model.layers.9.x", (1, 1), "model.layers.9.x of shape (1, 1), the model has none"),
        (3, "model.layers.0.mlp.up_proj.weight", (18, 25), "of shape (18, 25)"),
    ],
)
def test_a_mask_that_does_not_fit_leaves_the_model_alone(
    tiny_model: Callable[..., Path],
    blocks: int,
    name: str | None,
    shape: tuple[int, int] | None,
    found: str,
) -> None:
    folder = tiny_model("llama")
    keeps = random_keeps(folder) | ({name: torch.ones(shape, dtype=torch.bool)} if name else {})
    pruned = in_memory(folder, keeps, (1,))
    pruned = replace(pruned, record=pruned.record.model_copy(update={"blocks": blocks}))
    model = load_model(folder)
    with pytest.raises(InputError) as error:
        apply_pruned(model, pruned, open_checkpoint(folder))
    assert found in str(error.value)
    assert len(model.model.layers) == 3
    for parameter_name, parameter in load_model(folder).named_parameters():
        assert torch.equal(model.get_parameter(parameter_name), parameter)


def test_a_plan_that_leaves_out_a_linear_writes_no_record(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    checkpoint = open_checkpoint(tiny_model("llama"))
    steps = [PrunedLinear(*item) for item in random_keeps(checkpoint.folder).items()]
    plan = Plan({step.name: 0.3 for step in steps}, steps[:-1])
    with pytest.raises(ValueError, match="never came: model.layers.2.mlp.down_proj.weight"):
        write_pruned(variant_files(tmp_path), plan, checkpoint, "", "wanda", {})
    assert list(tmp_path.iterdir()) == []
