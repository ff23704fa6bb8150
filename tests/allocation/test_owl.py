from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.models.tiny_models import (
    ARCHITECTURES,
    load_model,
    save_allocation,
    save_statistics,
    token_ids,
)
from workflow_scripts.allocation.kinds.owl import count_above, outlier_percentages, owl_sparsities
from workflow_scripts.artefacts.statistics import read_statistics
from workflow_scripts.files.atomic import read_json
from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import linears, model_digest, open_checkpoint

PERCENTAGES = st.integers(0, 10**6).map(lambda outliers: outliers / 10**4)  # of a million weights
OWL = {"kind": "owl", "calibration": "set", "threshold": 3.0, "spread": 0.08}


def formula(outliers: list[float], target: float, spread: float) -> np.ndarray:
    """As the public code computes it, for blocks of equal size."""
    ratio = np.array(outliers)
    ratio = (ratio - ratio.min()) * (1 / (ratio.max() - ratio.min()) * spread * 2)
    ratio = ratio - np.mean(ratio) + (1 - target)
    return 1 - ratio


@given(
    st.lists(PERCENTAGES, min_size=2, max_size=40, unique=True),
    st.floats(0.2, 0.8),
    st.floats(0, 0.1),
)
def test_it_is_the_public_formula_where_no_bound_is_in_the_way(
    outliers: list[float], target: float, spread: float
) -> None:
    found = owl_sparsities(outliers, [7] * len(outliers), target, spread)
    np.testing.assert_allclose(found, formula(outliers, target, spread), atol=1e-9)
    floored = owl_sparsities(outliers, [7] * len(outliers), target, spread, 0.01)
    np.testing.assert_allclose(floored, found, atol=1e-9)


@given(st.data(), st.floats(0, 1), st.floats(0, 1))
def test_more_outliers_are_never_pruned_more_and_the_mean_is_right(
    data: st.DataObject, target: float, spread: float
) -> None:
    blocks = data.draw(st.lists(st.tuples(st.floats(0, 100), st.integers(1, 10**9)), min_size=1))
    outliers, sizes = map(list, zip(*blocks, strict=True))
    found = owl_sparsities(outliers, sizes, target, spread)
    assert all(0 <= sparsity <= 1 for sparsity in found)
    assert abs(np.average(found, weights=sizes) - target) < 1e-6
    order = np.argsort(outliers)
    assert (np.diff(np.array(found)[order]) <= 1e-12).all()
    assert max(found) - min(found) <= 2 * spread + 1e-12


def test_more_outliers_are_pruned_less() -> None:
    found = owl_sparsities([1.0, 3.0, 2.0], [10, 10, 10], 0.2, 0.05)
    np.testing.assert_allclose(found, [0.25, 0.15, 0.2], atol=1e-15)


def test_equal_outliers_are_uniform() -> None:
    for outliers in ([0.0, 0.0], [2.5, 2.5], [1.0]):
        np.testing.assert_allclose(owl_sparsities(outliers, [3] * len(outliers), 0.1, 0.08), 0.1)


def test_sparsities_below_0_are_held_there_or_become_the_floor() -> None:
    outliers, sizes = [0.0, 0.0, 0.0, 4.0], [6, 6, 6, 6]
    plain = formula(outliers, 0.1, 0.08)
    np.testing.assert_allclose(plain, [0.14, 0.14, 0.14, -0.02], atol=1e-15)
    found = owl_sparsities(outliers, sizes, 0.1, 0.08)
    np.testing.assert_allclose(found, [0.4 / 3] * 3 + [0], atol=1e-15)
    found = owl_sparsities(outliers, sizes, 0.1, 0.08, 0.01)
    np.testing.assert_allclose(found, [0.14, 0.14, 0.14, 0.01], atol=1e-15)
    found = owl_sparsities(outliers, sizes, 0.1, 0.08, 0.0)
    np.testing.assert_allclose(found, [0.14, 0.14, 0.14, 0], atol=1e-15)


def slow_percentages(
    folder: Path, statistics: object, names: list[str], threshold: float
) -> list[float]:
    """All scores of a block in one array, in float64."""
    model, found = load_model(folder, torch.float64), []
    for block in range(model.config.num_hidden_layers):
        scores = []
        for name in names:
            if name.startswith(f"model.layers.{block}."):
                weight = model.get_parameter(name).detach().numpy()
                norm = np.sqrt(statistics.sum_squares[name].double().numpy())
                scores += [abs(w) * x for row in weight for w, x in zip(row, norm, strict=True)]
        mean = sum(scores) / len(scores)
        found.append(100 * sum(score > threshold * mean for score in scores) / len(scores))
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("scope", ["all", "attention", "mlp"])
@pytest.mark.parametrize("threshold", [0.5, 2.0, 3.0, 7.0])
def test_outliers_and_the_allocation_are_the_reference(
    tmp_path: Path,
    tiny_model: Callable[..., Path],
    architecture: str,
    scope: str,
    threshold: float,
) -> None:
    folder = tiny_model(architecture, blocks=4, dtype=torch.bfloat16)
    path = save_statistics(tmp_path / "s.safetensors", folder, token_ids(3, 16))
    checkpoint = open_checkpoint(folder)
    every = linears(checkpoint)
    statistics = read_statistics(path, every, model_digest(folder))
    members = [linear for linear in every if scope in ("all", linear.part)]
    names = [linear.name for linear in members]
    expected = slow_percentages(folder, statistics, names, threshold)
    found = outlier_percentages(checkpoint, members, statistics.sum_squares, threshold)
    np.testing.assert_allclose(found, expected, rtol=1e-12)

    request = OWL | {"threshold": threshold}
    place = save_allocation(
        tmp_path / "allocation.json", folder, 0.3, request, scope, statistics=path
    )
    record = read_json(place)
    options = {"calibration": "set", "threshold": threshold, "spread": 0.08}
    assert (record["scope"], record["options"]) == (scope, options)
    assert abs(record["requested_mean"] - 0.3) < 1e-6
    sparsities = formula(expected, 0.3, 0.08) if len(set(expected)) > 1 else np.full(4, 0.3)
    for linear in every:
        wanted = sparsities[linear.block] if linear.name in names else 0
        assert abs(record["linears"][linear.name] - wanted) < 1e-12


def test_one_linear_is_in_memory(
    tmp_path: Path, tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_model("llama")
    path = save_statistics(tmp_path / "s.safetensors", folder, token_ids(3, 16))
    checkpoint = open_checkpoint(folder)
    members = linears(checkpoint)
    squares = read_statistics(path, members, model_digest(folder)).sum_squares
    read: list[str] = []
    load = checkpoints.load_tensor
    monkeypatch.setattr(
        checkpoints, "load_tensor", lambda c, name: read.append(name) or load(c, name)
    )
    outlier_percentages(checkpoint, members, squares, 5.0)
    names = [linear.name for linear in members]
    assert read == [*names[:7], *names[:7], *names[7:14], *names[7:14], *names[14:], *names[14:]]


def test_inputs_that_are_always_zero_have_no_outliers() -> None:
    weight = torch.tensor([[5.0, 1.0], [4.0, 3.0]])
    assert count_above(weight, torch.tensor([0.0, 1.0]).double(), 0.0) == 2
    assert count_above(weight, torch.tensor([0.0, 0.0]).double(), 0.0) == 0
    assert count_above(weight, torch.tensor([1.0, 2.0]).double(), 4.0) == 2
