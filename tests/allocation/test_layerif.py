import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.files.by_hand import without_checksum
from tests.models.tiny_models import ARCHITECTURES, save_allocation
from workflow_scripts.allocation.kinds.layerif import (
    layerif_sparsities,
    smoothed,
    starting_sparsities,
)
from workflow_scripts.config.allocations import LayerIF
from workflow_scripts.config.entry import check_blocks, plain
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json, write_json
from workflow_scripts.models.checkpoints import Linear, linears, model_digest, open_checkpoint

PAPER = LayerIF(kind="layerif", influence="chains")
OPTIONS = plain(PAPER)
# the polynomial of order 2 through 5 places, least squares, at its middle
MIDDLE = np.array([-3, 12, 17, 12, -3]) / 35


def slowly_smoothed(scores: list[float], window: int, order: int) -> np.ndarray:
    """Each place from a polynomial fitted to the window around it; the ends have the first and
    last window."""
    a = np.abs(np.array(scores, dtype=float))
    a = (a - a.min()) / (a.max() - a.min())
    half, smooth = window // 2, []
    for place in range(len(a)):
        first = min(max(place - half, 0), len(a) - window)
        places = np.arange(first, first + window)
        smooth.append(np.polyval(np.polyfit(places - place, a[places], order), 0))
    clipped = np.clip(smooth, 0, 1)
    return (clipped - clipped.min()) / (clipped.max() - clipped.min())


def of(blocks: int, attention: int = 10, mlp: int = 30) -> list[Linear]:
    """Two linears a block, with so many weights."""
    parts = [("attention", "q", attention), ("mlp", "up", mlp)]
    return [
        Linear(f"{block}.{part}", block, part, role, (1, size))
        for block in range(blocks)
        for part, role, size in parts
    ]


def rows(attention: list[float], mlp: list[float]) -> list[dict[str, float]]:
    return [{"attention": a, "mlp": m} for a, m in zip(attention, mlp, strict=True)]


SCORES = st.lists(st.floats(-1e6, 1e6), min_size=7, max_size=36)


@given(SCORES, st.sampled_from([(1, 0), (3, 1), (5, 2), (7, 2), (7, 4)]))
def test_smoothing_is_the_reference(scores: list[float], places: tuple[int, int]) -> None:
    window, order = places
    if np.ptp(np.abs(scores)) < 1e-3:
        return  # only rounding is left of such scores
    np.testing.assert_allclose(
        smoothed(np.array(scores), window, order),
        slowly_smoothed(scores, window, order),
        atol=1e-6,
    )


def test_the_steps_of_smoothing_by_hand() -> None:
    scores = np.array([0.0, 0, 0, -7.0, 0, 0, 0])  # its size counts, not its sign
    middle = np.array([0, 0, 12, 17, 12, 0, 0]) / 35  # what falls below 0 is cut off
    found = smoothed(scores, 5, 2)
    np.testing.assert_allclose(found[2:5], middle[2:5] * 35 / 17, atol=1e-12)
    assert found.min() == 0 and found.max() == 1


@given(SCORES, st.floats(0, 1), st.sampled_from(["protect", "prune"]), st.integers(1, 50))
def test_the_mean_of_either_pool_is_right_and_bounds_are_kept(
    scores: list[float], target: float, direction: str, attention: int
) -> None:
    members = of(len(scores), attention)
    given_scores = rows(scores, scores[::-1])
    for unit in ("split", "block"):
        options = PAPER.model_copy(update={"direction": direction, "unit": unit})
        found = layerif_sparsities(options, members, given_scores, target)
        assert list(found) == [linear.name for linear in members]
        assert all(0 <= sparsity <= 1 for sparsity in found.values())
        pools = [("attention",), ("mlp",)] if unit == "split" else [("attention", "mlp")]
        for parts in pools:
            pool = [linear for linear in members if linear.part in parts]
            pruned = sum(found[linear.name] * linear.weights for linear in pool)
            assert abs(pruned / sum(linear.weights for linear in pool) - target) < 1e-6


def test_it_is_the_formula_of_the_paper() -> None:
    attention, mlp = [3.0, 1, 4, 1, 5, 9, 2], [2.0, 7, 1, 8, 2, 8, 1]
    found = layerif_sparsities(PAPER, of(7), rows(attention, mlp), 0.2)
    for part, scores in (("attention", attention), ("mlp", mlp)):
        start = (1 - slowly_smoothed(scores, 5, 2)) * (0.40 - 0.05) + 0.05
        eta = 0.2 * 7 / start.sum()
        expected = np.clip(eta * start, 0, 1)
        given_ones = [found[f"{block}.{part}"] for block in range(7)]
        np.testing.assert_allclose(given_ones, expected, atol=1e-12)


def test_the_mean_counts_weights_and_not_blocks() -> None:
    members = [
        Linear(str(block), block, "mlp", "up", (1, size)) for block, size in enumerate([10, 10, 80])
    ]
    options = PAPER.model_copy(update={"window": 1, "order": 0, "low": 0.1, "high": 0.3})
    found = layerif_sparsities(options, members, rows([0.0] * 3, [0.0, 1.0, 2.0]), 0.2)
    eta = 0.2 * 100 / (0.3 * 10 + 0.2 * 10 + 0.1 * 80)
    np.testing.assert_allclose(list(found.values()), [0.3 * eta, 0.2 * eta, 0.1 * eta], atol=1e-12)


def test_influential_blocks_are_protected_or_pruned() -> None:
    scores = np.arange(9.0)
    protect = starting_sparsities(PAPER, scores)
    prune = starting_sparsities(PAPER.model_copy(update={"direction": "prune"}), scores)
    assert (np.diff(protect) < 0).all() and (np.diff(prune) > 0).all()
    np.testing.assert_allclose([protect[0], protect[-1]], [0.40, 0.05], atol=1e-12)
    np.testing.assert_allclose([prune[0], prune[-1]], [0.05, 0.40], atol=1e-12)


def test_a_block_as_unit_has_one_score_and_one_sparsity() -> None:
    attention, mlp = [5.0, 0, 0, 0, 0], [0.0, 0, 0, 0, 7]
    options = PAPER.model_copy(update={"unit": "block", "window": 1, "order": 0})
    found = layerif_sparsities(options, of(5), rows(attention, mlp), 0.2)
    assert all(found[f"{block}.attention"] == found[f"{block}.mlp"] for block in range(5))
    start = 0.40 - 0.35 * np.array([5, 0, 0, 0, 7]) / 7
    by_block = [found[f"{block}.mlp"] for block in range(5)]
    np.testing.assert_allclose(by_block, start * 0.2 * 5 / start.sum(), atol=1e-12)


def test_a_scope_leaves_the_other_pool_out() -> None:
    scores = rows([3.0, 1, 4, 1, 5], [2.0, 7, 1, 8, 2])
    members = [linear for linear in of(5) if linear.part == "mlp"]
    both = layerif_sparsities(PAPER, of(5), scores, 0.2)
    found = layerif_sparsities(PAPER, members, scores, 0.2)
    assert found == {name: sparsity for name, sparsity in both.items() if name.endswith("mlp")}


def test_equal_scores_are_uniform() -> None:
    found = layerif_sparsities(PAPER, of(6), rows([2.0] * 6, [0.0] * 6), 0.2)
    np.testing.assert_allclose(list(found.values()), 0.2, atol=1e-15)


def test_a_window_longer_than_the_model() -> None:
    with pytest.raises(InputError) as error:
        check_blocks(LayerIF(kind="layerif", influence="set", window=5), 4)
    assert str(error.value) == (
        "window: 5 is longer than the model, which has 4 blocks; must be an odd number up to that "
        "(1, with order 0, does not smooth)"
    )


def save_influence(path: Path, folder: Path, blocks: list[dict], **change: object) -> Path:
    record = {"format": 1, "model_digest": model_digest(folder), "blocks": blocks}
    write_json(path, record | change)
    return path


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("unit", ["split", "block"])
def test_the_stage_writes_what_the_scores_say(
    tmp_path: Path, tiny_model: Callable[..., Path], architecture: str, unit: str
) -> None:
    folder = tiny_model(architecture, blocks=5)
    scores = rows([3.0, 1, 4, 1, 5], [2.0, 7, 1, 8, 2])
    influence = save_influence(tmp_path / "influence.json", folder, scores)
    request = OPTIONS | {"unit": unit}
    path = save_allocation(tmp_path / "allocation.json", folder, 0.2, request, influence=influence)
    record = read_json(path)
    found = linears(open_checkpoint(folder))
    options = PAPER.model_copy(update={"unit": unit})
    assert record["linears"] == layerif_sparsities(options, found, scores, 0.2)
    assert abs(record["requested_mean"] - 0.2) < 1e-6
    assert record["options"] == {key: value for key, value in request.items() if key != "kind"}
    assert len(set(record["linears"].values())) == (10 if unit == "split" else 5)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"format": 2}, ["format", "2"]),
        ({"blocks": rows([1.0] * 4, [1.0] * 4)}, ["4 blocks, the model has 5"]),
        ({"blocks": {}}, ["blocks", "{}"]),
        ({"blocks": [*rows([1.0] * 4, [1.0] * 4), {"attention": 1.0}]}, ["blocks.4.mlp"]),
        (
            {"blocks": [*rows([1.0] * 4, [1.0] * 4), {"attention": "1", "mlp": 2.0}]},
            ["blocks.4.attention", "'1'"],
        ),
        ({"blocks": [*rows([1.0] * 4, [1.0] * 4), 3]}, ["blocks.4", "3"]),
        ({"blocks": rows([1.0, 1, 1, float("nan"), 1], [1.0] * 5)}, ["blocks.3.attention", "nan"]),
        ({"model_digest": "other"}, ["influence scores of another model", "other"]),
    ],
)
def test_scores_that_are_refused(
    tmp_path: Path, tiny_model: Callable[..., Path], change: dict, found: list[str]
) -> None:
    """A block without a score is no block with a guessed sparsity."""
    folder = tiny_model("llama", blocks=5)
    influence = tmp_path / "influence.json"
    save_influence(influence, folder, rows([1.0] * 5, [2.0] * 5))
    without_checksum(influence).write_text(json.dumps(json.loads(influence.read_text()) | change))
    with pytest.raises(InputError) as error:
        save_allocation(tmp_path / "a.json", folder, 0.2, OPTIONS, influence=influence)
    line = str(error.value)
    assert line.startswith(f"{influence}: ") and all(part in line for part in found), line
    assert not (tmp_path / "a.json").exists()
