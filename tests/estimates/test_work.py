"""What a token costs, against what torch counts while models decode token by token."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from tests.artefacts.mask_references import run
from tests.artefacts.variants import on_disk, random_keeps
from tests.models.drawn_routers import draw_routers
from tests.models.test_supported import saved
from tests.models.tiny_models import (
    load_model,
    save_calibration_set,
    save_tiny_model,
    token_ids,
    write_manifest,
)
from workflow_scripts.artefacts.mask_records import read_mask_record
from workflow_scripts.artefacts.masks import read_pruned
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned, export, note_export
from workflow_scripts.engines.skipping import SkippingStep
from workflow_scripts.engines.slots import SlotCache
from workflow_scripts.estimates.work import (
    Block,
    Part,
    Run,
    Work,
    model_work,
    run_of,
    variant_work,
)
from workflow_scripts.models.checkpoints import open_checkpoint, split_block
from workflow_scripts.models.routed import routers_of
from workflow_scripts.models.routing import PARTS
from workflow_scripts.models.supported import SUPPORTED
from workflow_scripts.models.units import NEURON, QUERY_HEAD, block_units
from workflow_scripts.models.windows import windows

IDS = token_ids(1, 20).long() % 24  # all models here have these
SIZES = {"heads": 4, "kv_heads": 2, "hidden": 32, "intermediate": 40, "head_dim": 8}


@torch.no_grad()
def counted(model: PreTrainedModel) -> int:
    """FLOPs of decoding IDS as torch counts them, without those of rotary positions."""
    model.set_attn_implementation("eager")  # whose products are all plain ones
    model.config._experts_implementation = "batched_mm"
    counter, cache = FlopCounterMode(display=False), None
    with counter:
        for place in range(IDS.shape[1]):
            cache = model(IDS[:, place : place + 1], past_key_values=cache).past_key_values
    of_modules = counter.get_flop_counts().items()
    positions = (sum(found.values()) for name, found in of_modules if name.endswith("rotary_emb"))
    return counter.get_total_flops() - sum(positions)


def decoding(work: Work) -> float:
    return float(work.span_flops(0, IDS.shape[1]) + work.head_flops(IDS.shape[1]))


@pytest.mark.parametrize(
    "kind", ["llama", "qwen3", "phi3", "granite", "gemma2", "diffllama", "qwen2_moe", "mixtral"]
)
def test_a_dense_model_takes_what_torch_counts(tmp_path: Path, kind: str) -> None:
    """With the list of sliding windows in config.json and, as in older files, without."""
    checkpoint = saved(kind, tmp_path / "model")
    model = load_model(checkpoint.folder)
    work = model_work(checkpoint)
    assert decoding(work) == pytest.approx(counted(model), rel=1e-3)
    assert work.parameters == sum(p.numel() for p in model.parameters())
    listed = {"layer_types": getattr(model.config, "layer_types", None)}
    config = {**checkpoint.config, **{key: value for key, value in listed.items() if value}}
    assert windows(config, checkpoint.blocks) == windows(checkpoint.config, checkpoint.blocks)


def test_windows_are_those_of_every_architecture(tmp_path: Path) -> None:
    """What files leave out that were written before there was a list of them."""
    from tests.models.test_supported import BLOCKS, tiny

    slides = 0
    for kind in SUPPORTED:
        whole = tiny(kind).to_dict()
        listed = whole.pop("layer_types", None)
        if listed is None:
            continue
        found = windows(whole | {"model_type": kind}, BLOCKS)
        window = whole.get("sliding_window")
        expected = tuple(window if one == "sliding_attention" else None for one in listed)
        assert found == expected, kind
        slides += any(found)
    assert slides > 10


@pytest.fixture
def wide(tmp_path: Path) -> Callable[..., Path]:
    def made(architecture: str, **options: object) -> Path:
        folder = save_tiny_model(tmp_path / "model", architecture, **SIZES | options)
        config = json.loads((folder / "config.json").read_text())
        config |= (
            {"use_sliding_window": False, "layer_types": None} if "qwen" in architecture else {}
        )
        (folder / "config.json").write_text(json.dumps(config))
        write_manifest(folder)
        return folder

    return made


@pytest.mark.parametrize("architecture", ["llama", "qwen3", "phi3"])
@pytest.mark.parametrize("tied", [False, True])
def test_what_a_mask_and_removed_blocks_leave(
    tmp_path: Path, wide: Callable[..., Path], architecture: str, tied: bool
) -> None:
    """A dense kernel multiplies with zeros as with other weights; removed blocks cost nothing."""
    folder = wide(architecture, tied=tied)
    checkpoint, keeps = open_checkpoint(folder), random_keeps(folder)
    files = on_disk(tmp_path / "variant", folder, keeps, (1,))
    pruned, model = read_pruned(files), load_model(folder)
    apply_pruned(model, pruned, checkpoint)
    work = variant_work(checkpoint, pruned.record)
    assert decoding(work) == pytest.approx(counted(model), rel=1e-3)
    assert work.parameters == sum(p.numel() for p in model.parameters())
    # without the zeros: of every linear the weights that its mask keeps, and attention as before
    gone = sum(int((~keep).sum()) for name, keep in keeps.items() if ".layers.1." not in name)
    less = work.span_flops(0, 20) - work.span_flops(0, 20, kept=True)
    assert less == pytest.approx(2 * 20 * gone)


@pytest.mark.parametrize("architecture", ["llama", "qwen3", "mistral"])
def test_what_heads_and_neurons_leave_is_that_of_the_narrow_export(
    tmp_path: Path, wide: Callable[..., Path], architecture: str
) -> None:
    folder = wide(architecture)
    checkpoint = open_checkpoint(folder)
    keeps = {}
    for block, units in enumerate(block_units(checkpoint)):
        # of the second block more: a zero that stays
        heads = [0, 2] if block != 1 else [0, 1, 2]
        keeps |= units.keep({QUERY_HEAD: heads, NEURON: range(5 + block)})
    files = on_disk(tmp_path / "variant", folder, keeps)
    note_export(files, checkpoint)
    pruned = read_pruned(files)
    assert pruned.record.export.units[NEURON] == (35, 40)
    assert read_mask_record(files.record) == pruned.record
    export(checkpoint, pruned, tmp_path / "exported")
    narrow = load_model(tmp_path / "exported")
    work = variant_work(checkpoint, pruned.record)
    assert decoding(work) == pytest.approx(counted(narrow), rel=1e-3)
    assert work.parameters == sum(p.numel() for p in narrow.parameters())
    assert decoding(work) < decoding(model_work(checkpoint))
    assert work.span_flops(0, 20, kept=True) < work.span_flops(0, 20)


@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
@pytest.mark.parametrize("tied", [False, True])
def test_what_a_sliced_model_takes(
    tmp_path: Path, wide: Callable[..., Path], architecture: str, tied: bool
) -> None:
    folder = wide(architecture, tied=tied)
    calibration = save_calibration_set(tmp_path / "set.safetensors", folder, token_ids(8, 16))
    options = {"method": "slicegpt", "calibration": "set", "slicing": 0.3, "round_to": 4}
    files = run(tmp_path, folder, options, calibration=calibration)
    checkpoint, pruned, model = open_checkpoint(folder), read_pruned(files), load_model(folder)
    apply_pruned(model, pruned, checkpoint)
    work = variant_work(checkpoint, pruned.record)
    assert decoding(work) == pytest.approx(counted(model), rel=1e-3)
    left = round(pruned.record.parameters * (1 - pruned.record.removed_of_all))
    assert work.parameters == sum(p.numel() for p in model.parameters()) == left


def test_attention_that_nothing_reads_is_left_out_without_zeros(
    tmp_path: Path, wide: Callable[..., Path]
) -> None:
    folder = wide("llama")
    checkpoint, keeps = open_checkpoint(folder), {}
    names = {linear.role: linear for linear in block_units(checkpoint)[1].linears.values()}
    for role in ("q", "k", "v", "o"):
        keeps[names[role].name] = torch.zeros(names[role].shape, dtype=torch.bool)
    work = variant_work(checkpoint, read_pruned(on_disk(tmp_path / "v", folder, keeps)).record)
    assert work.span_flops(0, 20) == model_work(checkpoint).span_flops(0, 20)
    short = on_disk(tmp_path / "short", folder, {}, (1,))
    mlp = 2 * 20 * sum(names[role].weights for role in ("gate", "up", "down"))
    without = variant_work(checkpoint, read_pruned(short).record).span_flops(0, 20)
    assert work.span_flops(0, 20, kept=True) == without + mlp


def test_spans_add_up_and_stop_growing_at_a_window() -> None:
    part = Part(products=10, kept=10, weights=11)
    work = Work((Block(part, part, 6, 6, 4), Block(part, part, 6, 6, 4, window=3)), 100, 1000)
    whole = work.span_flops(0, 9)
    assert whole == work.span_flops(0, 4) + work.span_flops(4, 5)
    one_by_one = [
        2 * (40 + 6 * (place + 1) + 6 * min(place + 1, 3)) for place in range(9)
    ]  # fmt: skip
    assert whole == sum(one_by_one)
    assert np.array_equal(work.span_flops(np.arange(9), 1), one_by_one)
    assert work.read_cache(5, 2) == 4 * (6 + 7) + 4 * (3 + 3)
    assert work.held_cache(9) == 4 * 9 + 4 * 3 and work.written_cache(9) == 8 * 9
    assert work.read_weights() == work.read_weights(tokens=9) == 44 + 100


def test_several_tokens_read_the_experts_of_all() -> None:
    """Of 8 experts with 5 weights each a token reads 2, two tokens 3.5 and many all."""
    mlp = Part(10, 10, 13, chosen=10)
    work = Work((Block(Part(3, 3, 3), mlp, 6, 6, 4),), 100, 1000, share=2 / 8)
    assert work.read_weights() == 3 + 13 + 100
    assert work.read_weights(tokens=2) == 3 + 3 + 5 * 8 * (1 - 0.75**2) + 100
    assert work.read_weights(tokens=1000) == pytest.approx(3 + 3 + 40 + 100)


@pytest.mark.parametrize("kind", ["qwen2_moe", "mixtral"])
def test_a_long_prompt_reads_all_but_the_embedding(tmp_path: Path, kind: str) -> None:
    checkpoint = open_checkpoint(save_tiny_model(tmp_path, kind, **SIZES))
    work, shapes = model_work(checkpoint), checkpoint.shapes
    whole = sum(math.prod(shape) for name, shape in shapes.items() if split_block(name))
    assert work.share < 1 and work.read_weights() < whole
    assert work.read_weights(tokens=1000) == pytest.approx(whole + work.head)


def test_a_token_that_skips_sublayers_runs_their_share() -> None:
    attention, mlp = Part(10, 8, 11), Part(20, 14, 21)
    work = Work((Block(attention, mlp, 6, 6, 4),) * 2, 100, 1000)
    some = Run(attention=0.5, mlp=0.25, attention_weights=0.5)
    assert work.span_flops(0, 1, run=some) == 2 * 2 * (0.5 * (10 + 6) + 0.25 * 20)
    assert work.span_flops(0, 1, kept=True, run=some) == 2 * 2 * (0.5 * (8 + 6) + 0.25 * 14)
    assert work.read_weights(some) == 2 * (0.5 * 11 + 0.25 * 21) + 100
    assert work.read_cache(3, 1, some) == 0.5 * 2 * 4 * 4
    assert math.isclose(work.span_flops(7, 9, run=Run()), work.span_flops(7, 9))
    assert work.held_cache(4) == work.written_cache(4) == 2 * 4 * 4
    gone = Run(attention=0.5, mlp=0.25, attention_weights=0.5, attended=0.5)
    assert work.read_cache(3, 1, gone) == 0.25 * 2 * 4 * 4
    assert work.written_cache(4, gone) == 0.5 * 2 * 4 * 4


@torch.no_grad()
@pytest.mark.parametrize("kind", ["qwen3", "llama"])
def test_a_dynamic_variant_takes_what_its_tokens_run(tmp_path: Path, kind: str) -> None:
    """As the engine decodes: keys and values of a token that skips are computed, and no more."""
    folder = save_tiny_model(tmp_path / "model", kind, **SIZES, blocks=4)
    (tmp_path / "variant").mkdir()
    files = run(tmp_path / "variant", folder, {"method": "skipgpt", "skip": 0.3})
    checkpoint, record = open_checkpoint(folder), read_mask_record(files.record)
    model = load_model(folder)
    apply_pruned(model, read_pruned(files), checkpoint)
    draw_routers(model, seed=2)
    for router in routers_of(model):
        for name in PARTS:
            router.shift(name, -0.5)
    model.set_attn_implementation("eager")
    prefilled = model(IDS[:, :1]).past_key_values
    cache, work = SlotCache(prefilled, 1, 64), variant_work(checkpoint, record)
    shares, expected = [], 0.0
    with FlopCounterMode(display=False) as counter:
        for place in range(IDS.shape[1]):
            cache.used, cache.positions = place + 1, torch.tensor([place])
            step = SkippingStep(cache, [1])
            seen = torch.ones(1, 1, 1, place + 1, dtype=torch.bool)
            model(
                IDS[:, place : place + 1], position_ids=torch.tensor([[place]]),
                attention_mask=seen, past_key_values=cache, use_cache=True, routes=step,
            )  # fmt: skip
            ran = step.run(4)[0]
            shares.append(ran.mean())
            of_token = run_of(record.dynamic, ran[::2].mean(), ran[1::2].mean())
            expected += float(work.span_flops(place, 1, run=of_token) + work.head_flops(1))
    of_modules = counter.get_flop_counts().items()
    positions = sum(sum(v.values()) for name, v in of_modules if name.endswith("rotary_emb"))
    assert 0.2 < np.mean(shares) < 0.9
    assert expected == pytest.approx(counter.get_total_flops() - positions, rel=1e-6)


def test_it_needs_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys; import workflow_scripts.estimates.work; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
