"""Which weights of a linear stay, given their scores: groups, counts, patterns.

Counts are the nearest whole number to sparsity times weights, `selection: paper` those of the
public code of arXiv 2604.25098: rounded down; and for magnitude with a uniform allocation every
weight goes up to and with the one that stands at that place among the sorted ones.
"""

from dataclasses import dataclass

from torch import Tensor

from workflow_scripts.artefacts.allocations import pruned_count
from workflow_scripts.config.methods.base import OfWeights, read_pattern
from workflow_scripts.config.methods.unstructured import Magnitude
from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import Linear
from workflow_scripts.pruning.kernels import keep_above_quantile, keep_largest, keep_pattern


@dataclass(frozen=True)
class Selection:
    """How weights are chosen by their scores.

    Scores are compared within each output `row` or the whole `matrix`; with a `pattern` (n, m) in
    every m consecutive input weights of a row instead, of which n go. `counting` is `exact`,
    `floor` or `threshold`.
    """

    comparison: str
    counting: str
    pattern: tuple[int, int] | None = None


def magnitude_selection(method: Magnitude, allocation: str) -> Selection:
    """Compared within each linear; the public code has a threshold where sparsity is uniform.

    `allocation` is its kind.
    """
    counting = "exact"
    if method.selection == "paper":
        counting = "threshold" if allocation == "uniform" else "floor"
    return Selection("matrix", counting, _pattern(method))


def row_selection(method: OfWeights) -> Selection:
    """Compared within each output row, or the whole matrix where `comparison` says so."""
    counting = "floor" if method.selection == "paper" else "exact"
    return Selection(getattr(method, "comparison", "row"), counting, _pattern(method))


def _pattern(method: OfWeights) -> tuple[int, int] | None:
    return read_pattern(method.pattern) if method.pattern else None


def check_pattern(linear: Linear, pattern: tuple[int, int]) -> None:
    """Raise `InputError` where a pattern (n, m) does not fit the rows of a linear."""
    pruned, group = pattern
    if linear.shape[1] % group:
        raise InputError(
            f"pattern {pruned}:{group} does not fit {linear.name}: its rows have "
            f"{linear.shape[1]} weights, which {group} does not divide"
        )


def keep_selected(selection: Selection, linear: Linear, scores: Tensor, sparsity: float) -> Tensor:
    """Which weights of a linear stay; bool, (output, input), True = kept."""
    if selection.pattern:
        check_pattern(linear, selection.pattern)
        return keep_pattern(scores, *selection.pattern)
    if selection.comparison == "matrix":
        scores = scores.reshape(1, -1)
    entries = scores.shape[1]
    if selection.counting == "exact":
        keep = keep_largest(scores, pruned_count(sparsity, entries))
    elif selection.counting == "floor":
        keep = keep_largest(scores, int(entries * sparsity))
    else:
        keep = keep_above_quantile(scores, min(int(entries * sparsity), entries - 1))
    return keep.reshape(linear.shape)
