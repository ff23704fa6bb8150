import json
import math
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.files.by_hand import without_checksum
from workflow_scripts.artefacts.allocations import (
    in_scope,
    mean_sparsity,
    pruned_count,
    read_allocation,
    write_allocation,
)
from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import Linear

LINEARS = (Linear("a", 0, "mlp", "up", (3, 7)), Linear("b", 0, "mlp", "down", (7, 11)))


@given(st.floats(0, 1), st.integers(1, 10**9))
def test_a_count_is_the_nearest_whole_number(sparsity: float, weights: int) -> None:
    count = pruned_count(sparsity, weights)
    assert 0 <= count <= weights
    # half a weight, and the last bit of the product in floating point
    assert abs(count - Fraction(sparsity) * weights) <= Fraction(1, 2) + Fraction(weights, 2**52)


def test_counts_are_not_truncated_and_halves_go_to_the_even_number() -> None:
    assert pruned_count(0.29, 100) == 29 and int(0.29 * 100) == 28
    assert [pruned_count(0.5, n) for n in (1, 3, 5, 7)] == [0, 2, 2, 4]


@given(st.floats(0, 1))
def test_the_mean_of_equal_sparsities_is_that_sparsity(sparsity: float) -> None:
    assert mean_sparsity({"a": sparsity, "b": sparsity}, LINEARS) == sparsity


def test_means_are_weighted_by_weights(tmp_path: Path) -> None:
    path = tmp_path / "allocation.json"
    write_allocation(path, {"a": 0.25, "b": 0.5}, LINEARS, "owl", {"m": 5}, 0.4, "digest")
    record = json.loads(path.read_text())
    assert record == {
        "allocation": "owl",
        "options": {"m": 5},
        "scope": "all",
        "target": 0.4,
        "requested_mean": (0.25 * 21 + 0.5 * 77) / 98,
        "achieved_mean": (5 + 38) / 98,
        "linears": {"a": 0.25, "b": 0.5},
        "model_digest": "digest",
    }
    found = read_allocation(path, LINEARS, "digest")
    assert (found.kind, found.sparsities) == ("owl", {"a": 0.25, "b": 0.5})


def test_linears_outside_the_scope_get_0_and_count_for_nothing(tmp_path: Path) -> None:
    linears = (Linear("q", 0, "attention", "q", (3, 7)), *LINEARS)
    path = tmp_path / "allocation.json"
    inside = {"a": 0.25, "b": 0.5}
    write_allocation(path, inside, linears, "uniform", {}, 0.4, "digest", "mlp")
    record = json.loads(path.read_text())
    assert record["linears"] == {"q": 0.0, **inside}
    assert record["requested_mean"] == (0.25 * 21 + 0.5 * 77) / 98
    assert record["achieved_mean"] == (5 + 38) / 98
    found = read_allocation(path, linears, "digest")
    assert (found.kind, found.sparsities) == ("uniform", inside)
    assert in_scope(linears, "all") == linears
    assert in_scope(linears, "attention") == linears[:1]
    assert in_scope(linears, "mlp") == linears[1:]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"linears": {"a": 0.2}}, ["b", "has no sparsity"]),
        ({"linears": {"a": 0.2, "b": 0.2, "c": 0.2}}, ["c", "not a linear of the model"]),
        ({"linears": {"a": 0.2, "b": 1.2}}, ["linears.b", "1.2"]),
        ({"linears": {"a": 0.2, "b": None}}, ["linears.b", "None"]),
        ({"linears": {"a": 0.2, "b": True}}, ["linears.b", "True"]),
        ({"linears": {"a": 0.2, "b": math.nan}}, ["linears.b", "nan"]),
        ({"scope": "most"}, ["scope", "'most'", "'mlp'"]),
        ({"allocation": 3}, ["allocation", "3"]),
        ({"linears": [0.2]}, ["linears", "[0.2]"]),
        ({"model_digest": "other"}, ["allocation of another model", "other", "digest"]),
    ],
)
def test_allocations_that_are_refused(tmp_path: Path, change: dict, found: list[str]) -> None:
    path = tmp_path / "allocation.json"
    write_allocation(path, {"a": 0.2, "b": 0.2}, LINEARS, "uniform", {}, 0.2, "digest")
    without_checksum(path).write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError) as error:
        read_allocation(path, LINEARS, "digest")
    line = str(error.value)
    assert line.startswith(f"{path}: ") and all(part in line for part in found), line
