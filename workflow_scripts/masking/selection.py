"""Which weights of a linear stay, given their scores: groups, counts, patterns.

Counts are the nearest whole number to sparsity times weights, `selection: paper` those of the
public code of arXiv 2604.25098: rounded down; and for magnitude with a uniform allocation every
weight goes up to and with the one that stands at that place among the sorted ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from workflow_scripts.artefacts.allocations import Allocation, pruned_count
from workflow_scripts.config.patterns import agrees, read_pattern
from workflow_scripts.errors import InputError
from workflow_scripts.masking.kernels import keep_above_quantile, keep_largest, keep_pattern
from workflow_scripts.models.checkpoints import Linear


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


def magnitude_selection(options: Mapping[str, Any], allocation: Allocation) -> Selection:
    """Compared within each linear; the public code has a threshold where sparsity is uniform."""
    counting = "exact"
    if options["selection"] == "paper":
        counting = "threshold" if allocation.kind == "uniform" else "floor"
    return _checked(Selection("matrix", counting, _pattern(options)), options, allocation)


def wanda_selection(options: Mapping[str, Any], allocation: Allocation) -> Selection:
    """Compared within each output row, or the whole matrix where `comparison` says so."""
    counting = "floor" if options["selection"] == "paper" else "exact"
    selection = Selection(options["comparison"], counting, _pattern(options))
    if selection.pattern and selection.comparison != "row":
        raise InputError("comparison matrix and pattern exclude each other")
    return _checked(selection, options, allocation)


def _pattern(options: Mapping[str, Any]) -> tuple[int, int] | None:
    if "pattern" not in options:
        return None
    pattern = read_pattern(options["pattern"])
    if pattern is None:
        raise InputError(f"pattern {options['pattern']!r} is not n:m with 0 < n < m < 100")
    return pattern


def _checked(selection: Selection, options: Mapping[str, Any], allocation: Allocation) -> Selection:
    """The selection, if what is asked beside a pattern agrees with it."""
    if selection.pattern is None:
        return selection
    text, (pruned, group) = options["pattern"], selection.pattern
    if options["selection"] != "exact":
        raise InputError("selection paper and pattern exclude each other")
    if allocation.kind != "uniform":
        raise InputError(f"pattern {text} needs allocation uniform, not {allocation.kind}")
    for name, sparsity in allocation.sparsities.items():
        if not agrees(sparsity, selection.pattern):
            raise InputError(f"pattern {text} needs sparsity {pruned / group}, {name}: {sparsity}")
    return selection


def keep_selected(selection: Selection, linear: Linear, scores: Tensor, sparsity: float) -> Tensor:
    """Which weights of a linear stay; bool, (output, input), True = kept."""
    if selection.pattern:
        pruned, group = selection.pattern
        if linear.shape[1] % group:
            raise InputError(
                f"pattern {pruned}:{group} does not fit {linear.name}: its rows have "
                f"{linear.shape[1]} weights, which {group} does not divide"
            )
        return keep_pattern(scores, pruned, group)
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
