"""Every method and option against references that are slow, in float64, and written here."""

import itertools
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.artefacts.mask_references import keep_of, refused, run, wanda_masks, weights_of
from tests.models.tiny_models import (
    ARCHITECTURES,
    load_model,
    save_allocation,
    save_calibration_set,
    save_statistics,
    token_ids,
)
from workflow_scripts.artefacts.masks import VariantFiles, read_pruned
from workflow_scripts.calibration.collect_statistics import collect
from workflow_scripts.files.atomic import read_json
from workflow_scripts.masking.propagation import keep_in_sequence
from workflow_scripts.models import blocks, checkpoints
from workflow_scripts.models.checkpoints import Linear, linears, model_digest, open_checkpoint

SAMPLES = token_ids(5, 12, seed=3)
DIVISIBLE = {"hidden": 24, "intermediate": 32}  # by the groups of the patterns below
OWL = {"kind": "owl", "calibration": "set", "threshold": 3.0, "spread": 0.1}


def masks_of(paths: VariantFiles, folder: Path) -> dict[str, np.ndarray]:
    mask = read_pruned(paths, model_digest(folder))
    return {name: mask.kept(name).numpy() for name in mask.keep}


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert set(found) == set(expected)
    for name, keep in expected.items():
        np.testing.assert_array_equal(found[name], keep, name)


def in_scope(folder: Path, scope: str) -> list[str]:
    found = linears(open_checkpoint(folder))
    return [linear.name for linear in found if scope == "all" or linear.part == scope]


def inputs_of(
    place: Path, folder: Path, propagate: str, sparsity: float, **request: object
) -> dict[str, Path]:
    """The files that Wanda is built from, for an allocation asked for by `request`."""
    statistics = save_statistics(place / "statistics.safetensors", folder, SAMPLES)
    files = {}
    if request.get("allocation", {}).get("kind") == "owl":
        files["statistics"] = statistics
    allocation = save_allocation(place / "allocation.json", folder, sparsity, **request, **files)
    if propagate == "dense":
        return {"allocation": allocation, "statistics": statistics}
    calibration = save_calibration_set(place / "set.safetensors", folder, SAMPLES)
    return {"allocation": allocation, "calibration": calibration}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("comparison", "propagate", "selection"),
    list(itertools.product(("row", "matrix"), ("dense", "pruned"), ("exact", "paper"))),
)
def test_wanda_is_the_reference_whatever_its_options(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    architecture: str,
    comparison: str,
    propagate: str,
    selection: str,
) -> None:
    folder = tiny_model(architecture)
    files = inputs_of(tmp_path, folder, propagate, 0.37)
    options = {"comparison": comparison, "propagate": propagate, "selection": selection}
    paths = run(tmp_path, folder, {"method": "wanda", **options}, **files)
    sparsities = dict.fromkeys(in_scope(folder, "all"), 0.37)
    assert_same(masks_of(paths, folder), wanda_masks(folder, SAMPLES, sparsities, **options))
    assert read_json(paths.record)["options"] == options
    for row in read_json(paths.record)["linears"].values():
        entries = row["shape"][1] if comparison == "row" else np.prod(row["shape"])
        assert abs(row["achieved"] - row["requested"]) * entries < 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("propagate", ["dense", "pruned"])
@pytest.mark.parametrize("scope", ["attention", "mlp"])
def test_wanda_with_owl_in_a_scope_is_the_reference(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    architecture: str,
    propagate: str,
    scope: str,
) -> None:
    folder = tiny_model(architecture, sharded=True)
    files = inputs_of(tmp_path, folder, propagate, 0.45, allocation=OWL, scope=scope)
    allocated = read_json(files["allocation"])["linears"]
    paths = run(tmp_path, folder, {"method": "wanda", "propagate": propagate}, **files)
    inside = in_scope(folder, scope)
    assert {name for name, sparsity in allocated.items() if sparsity} == set(inside)
    sparsities = {name: allocated[name] for name in inside}
    assert len(set(sparsities.values())) > 1
    expected = wanda_masks(folder, SAMPLES, sparsities, propagate=propagate)
    assert_same(masks_of(paths, folder), expected)
    record = read_json(paths.record)
    pruned = sum((~keep).sum() for keep in expected.values())
    weights = sum(linear.weights for linear in linears(open_checkpoint(folder)))
    assert record["removed_fraction"] == pruned / weights


def test_what_the_pruned_blocks_hand_down_matters(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    """Were it not so, the tests above could not tell the two kinds of propagation apart."""
    folder = tiny_model("qwen3")
    found = []
    for propagate in ("dense", "pruned"):
        place = tmp_path / propagate
        place.mkdir()
        files = inputs_of(place, folder, propagate, 0.5)
        paths = run(place, folder, {"method": "wanda", "propagate": propagate}, **files)
        found.append(masks_of(paths, folder))
    different = {name for name in found[0] if (found[0][name] != found[1][name]).any()}
    assert {checkpoints.split_block(name)[0] for name in different} == {1, 2}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("propagate", ["dense", "pruned"])
@pytest.mark.parametrize("pattern", ["2:4", "4:8", "1:3", "5:8"])
def test_wanda_with_a_pattern_is_the_reference(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    architecture: str,
    propagate: str,
    pattern: str,
) -> None:
    sizes = {"hidden": 24, "intermediate": 33} if pattern == "1:3" else DIVISIBLE
    folder = tiny_model(architecture, **sizes)
    pruned, group = map(int, pattern.split(":"))
    sparsity = round(pruned / group, 7)  # as a config may write it
    files = inputs_of(tmp_path, folder, propagate, sparsity)
    options = {"method": "wanda", "pattern": pattern, "propagate": propagate}
    options["sparsity"] = sparsity
    masks = masks_of(run(tmp_path, folder, options, **files), folder)
    sparsities = dict.fromkeys(in_scope(folder, "all"), sparsity)
    expected = wanda_masks(folder, SAMPLES, sparsities, propagate=propagate, pattern=pattern)
    assert_same(masks, expected)
    for keep in masks.values():
        assert ((~keep).reshape(-1, group).sum(1) == pruned).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("scope", ["all", "attention", "mlp"])
@pytest.mark.parametrize("selection", ["exact", "paper"])
@pytest.mark.parametrize("kind", ["uniform", "owl"])
def test_magnitude_is_the_reference_whatever_its_options(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    architecture: str,
    scope: str,
    selection: str,
    kind: str,
) -> None:
    folder = tiny_model(architecture, dtype=torch.bfloat16)  # with many equal magnitudes
    request = {"allocation": OWL} if kind == "owl" else {}
    files = inputs_of(tmp_path, folder, "dense", 0.37, scope=scope, **request)
    allocated = read_json(files["allocation"])["linears"]
    options = {"method": "magnitude", "selection": selection}
    paths = run(tmp_path, folder, options, allocation=files["allocation"])
    weights = weights_of(folder)
    threshold = selection == "paper" and kind == "uniform"
    expected = {
        name: keep_of(
            np.abs(weights[name]),
            allocated[name],
            comparison="matrix",
            selection=selection,
            threshold=threshold,
        )
        for name in in_scope(folder, scope)
    }
    assert_same(masks_of(paths, folder), expected)
    more = [(~keep).sum() - int(0.37 * keep.size) for keep in expected.values()]
    assert not threshold or (min(more) >= 1 and max(more) > 1)  # one more than asked, and the ties


@pytest.mark.parametrize("pattern", ["2:4", "4:8"])
def test_magnitude_with_a_pattern_is_the_reference(
    tmp_path: Path, tiny_model: Callable[..., Path], pattern: str
) -> None:
    folder = tiny_model("qwen2", dtype=torch.bfloat16, **DIVISIBLE)
    allocation = save_allocation(tmp_path / "allocation.json", folder, 0.5, scope="mlp")
    options = {"method": "magnitude", "pattern": pattern}
    masks = masks_of(run(tmp_path, folder, options, allocation=allocation), folder)
    weights = weights_of(folder)
    expected = {
        name: keep_of(np.abs(weights[name]), 0.5, pattern=pattern)
        for name in in_scope(folder, "mlp")
    }
    assert_same(masks, expected)


def test_on_a_gpu_blocks_are_bf16_and_scores_those_of_the_stored_weights(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Callable[..., Path]
) -> None:
    """What differs on a GPU beside the kernels."""
    monkeypatch.setitem(blocks.DTYPES, "cpu", blocks.DTYPES["cuda"])
    folder = tiny_model("qwen3", blocks=2)
    checkpoint, found = open_checkpoint(folder), linears(open_checkpoint(folder))
    model = load_model(folder, torch.bfloat16)
    entered: dict[str, torch.Tensor] = {}

    def keep(linear: Linear, weight: torch.Tensor, squares: torch.Tensor) -> torch.Tensor:
        torch.testing.assert_close(weight, checkpoints.load_tensor(checkpoint, linear.name))
        if linear.block < block:  # was checked when it was the last block
            return weight.abs() > 0.2
        wide = entered[linear.name].double().square().sum((0, 1))
        torch.testing.assert_close(squares.double(), wide, rtol=1e-6, atol=0)
        return weight.abs() > 0.2

    for block in range(2):
        here = [linear for linear in found if linear.block == block]
        for linear in here:  # what enters the linears of a model whose blocks so far are pruned
            module = model.get_submodule(linear.name.removesuffix(".weight"))
            module.register_forward_pre_hook(
                lambda module, arguments, name=linear.name: entered.update({name: arguments[0]})
            )
        with torch.no_grad():
            model(SAMPLES.long(), use_cache=False)
        before = found[: len(here) * (block + 1)]
        kept = {x.name: x.keep for x in keep_in_sequence(checkpoint, before, SAMPLES, keep)}
        for linear in here:
            model.get_parameter(linear.name).data.masked_fill_(~kept[linear.name], 0)


def test_the_batch_does_not_matter_and_one_block_is_in_memory(
    tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = open_checkpoint(tiny_model("qwen2"))
    opened: list[int] = []
    products: list[str] = []
    before: list[weakref.ref] = []
    load = blocks.load_block

    def noted(decoder: blocks.Decoder, index: int) -> torch.nn.Module:
        assert not any(block() for block in before), "the block before is still in memory"
        opened.append(index)
        block = load(decoder, index)
        before.append(weakref.ref(block))
        for role in ("gate", "down"):
            linear = block.get_submodule(f"mlp.{role}_proj")
            linear.register_forward_hook(lambda *_, role=role: products.append(role))
        return block

    monkeypatch.setattr(blocks, "load_block", noted)

    def keep(linear: object, weight: torch.Tensor, sums: torch.Tensor) -> torch.Tensor:
        scores = weight.abs() * sums.sqrt()
        return scores > scores.median()

    found = []
    for batch in (1, 2, 5):
        opened.clear()
        products.clear()
        members = linears(checkpoint)
        steps = keep_in_sequence(checkpoint, members, SAMPLES, keep, batch=batch)
        masks = {step.name: step.keep for step in steps}
        assert list(masks) == [linear.name for linear in members]
        assert opened == [0, 1, 2]
        # a block is scored without its last product, and behind the last block nothing is asked
        spans = -(-len(SAMPLES) // batch)
        assert Counter(products) == {"gate": 5 * spans, "down": 2 * spans}
        found.append({name: mask.numpy() for name, mask in masks.items()})
    assert_same(found[0], found[1])
    assert_same(found[0], found[2])
    blocks_opened = len(opened)
    collect(blocks.open_decoder(checkpoint), SAMPLES, 2)  # lets go of its blocks as well
    assert opened[blocks_opened:] == [0, 1, 2]


def test_activations_that_are_not_finite_leave_no_mask(
    tmp_path: Path, tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_model("llama")
    files = inputs_of(tmp_path, folder, "pruned", 0.5)
    run_block = blocks.run_block
    monkeypatch.setattr(
        blocks, "run_block", lambda *arguments: run_block(*arguments) * float("inf")
    )
    line = refused(tmp_path, folder, {"method": "wanda", "propagate": "pruned"}, **files)
    name = "model.layers.1.self_attn.q_proj.weight"
    assert line == f"the activations that enter {name} are not finite"


def test_a_calibration_set_of_another_model(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder, other = tiny_model("llama"), tiny_model("llama", seed=1)
    files = inputs_of(tmp_path, folder, "pruned", 0.5)
    files["calibration"] = save_calibration_set(tmp_path / "c.safetensors", other, SAMPLES)
    line = refused(tmp_path, folder, {"method": "wanda", "propagate": "pruned"}, **files)
    assert line == (
        f"{files['calibration']}: calibration set of another model (digest "
        f"{model_digest(other)}, this model's is {model_digest(folder)})"
    )


def test_rows_that_a_pattern_does_not_divide(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = tiny_model("llama")
    files = inputs_of(tmp_path, folder, "dense", 0.5)
    line = refused(tmp_path, folder, {"method": "wanda", "pattern": "2:4"}, **files)
    assert "pattern 2:4 does not fit model.layers.0.self_attn.q_proj.weight" in line
    assert "18 weights" in line
