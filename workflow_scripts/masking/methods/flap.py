"""FLAP (arXiv 2312.11983): the heads and neurons go whose outputs a constant replaces best.

X is what enters o and down in the dense model. With `compensate` their biases get what the columns
that go gave on average.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.artefacts.masks import Plan
from workflow_scripts.config.methods.width import Flap
from workflow_scripts.errors import InputError
from workflow_scripts.masking.compensation import bias_changes, compensated_bias
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.masking.width import (
    Removed,
    Scores,
    counts_of,
    lowest_units,
    made_even,
    plan_without,
    pruned_blocks,
    read_by,
)
from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import Linear
from workflow_scripts.models.units import NEURON, BlockUnits
from workflow_scripts.pruning.kernels import column_means, variance


def plan(inputs: Inputs) -> Plan:
    """Remove the heads and neurons whose columns of o and down matter least."""
    options, checkpoint = inputs.options, inputs.checkpoint
    blocks = pruned_blocks(checkpoint, options)
    scores = [_unit_scores(inputs, units) for units in blocks]
    if options.structure == "UL-UM":
        removed = [
            lowest_units(units, found, counts_of(units, options), options)
            for units, found in zip(blocks, scores, strict=True)
        ]
    else:
        removed = _ranked_together(blocks, scores, options)
        if options.even:
            removed = made_even(blocks, scores, removed, options)
    if not options.compensate:
        return plan_without(inputs, blocks, removed)
    losing = {
        lines.linear.name: lines.linear
        for units, gone in zip(blocks, removed, strict=True)
        for kind, lines in read_by(units, options.heads).items()
        if gone[kind]
    }

    def changed(linear: Linear, keep: Tensor) -> Mapping[str, Tensor]:
        if linear.name not in losing:
            return {}
        weight = checkpoints.load_tensor(checkpoint, linear.name)
        return compensated_bias(inputs, linear, weight, keep)

    changes = bias_changes(checkpoint, losing.values())
    return plan_without(inputs, blocks, removed, changes, changed)


def feature_scores(metric: str, weight: Tensor, variances: Tensor, sum_squares: Tensor) -> Tensor:
    """What the columns of a weight (output, input) are worth, (input,), float64.

    `variances` and `sum_squares` are of their inputs, (input,). WIFV is Var(X_j) · Σ_i W_ij², IFV
    Var(X_j), and WIFN mean_i |W_ij| · ‖X_j‖.
    """
    if metric == "IFV":
        return variances
    if metric == "WIFV":
        return variances * weight.float().square().sum(0, dtype=torch.float64)
    return column_means(weight, sum_squares)


def standardised(scores: Tensor) -> Tensor:
    """Less their mean and over their unbiased standard deviation; zeros where all are equal."""
    deviations = scores - scores.mean()
    spread = scores.std()
    return deviations / spread if spread > 0 else torch.zeros_like(scores)


def _unit_scores(inputs: Inputs, units: BlockUnits) -> Scores:
    """What the units of a block are worth: of a head the sum over its columns; where blocks compete
    the mean, over columns that are standardised within the block.
    """
    options, statistics, scores = inputs.options, inputs.statistics, {}
    for kind, lines in read_by(units, options.heads).items():
        name = lines.linear.name
        sums, squares = statistics.sums[name], statistics.sum_squares[name]
        weight = checkpoints.load_tensor(inputs.checkpoint, name)
        variances = variance(sums, squares, statistics.tokens[name])
        columns = feature_scores(options.metric, weight, variances, squares)
        if kind != NEURON and options.head_scores == "squared":
            columns = columns.square()
        if options.structure == "AL-AM":
            columns = standardised(columns) * units.count(kind) / len(columns)
        scores[kind] = lines.sums(columns, units.count(kind))
    return scores


def _ranked_together(
    blocks: Sequence[BlockUnits], scores: Sequence[Scores], options: Flap
) -> list[Removed]:
    """What goes from each block where the heads and neurons of all of them compete.

    The best head and the best neuron of every block stay, unless `selection` is paper. Raises
    `InputError` where that is more than the sparsity leaves.
    """
    kinds = (options.heads, NEURON)
    places = [(number, kind) for kind in kinds for number in range(len(blocks))]
    values, weights = [], []
    for number, kind in places:
        found, size = scores[number][kind].numpy().copy(), blocks[number].unit_weights(kind)
        if options.selection == "exact":
            found[len(found) - 1 - found[::-1].argmax()] = np.inf  # of equal ones the later stays
        else:  # in neurons, of which a head is a whole number
            size //= blocks[number].unit_weights(NEURON)
        values.append(found)
        weights.append(np.full(len(found), size))
    sizes = np.concatenate(weights)
    counted = sizes.sum()  # where heads are single, their keys and values are of no unit
    if options.selection == "exact":
        counted = sum(units.weights for units in blocks)
    left = sizes.sum() - options.sparsity * counted
    keep = kept_together(np.concatenate(values), sizes, left, options.selection)
    removed: list[dict[str, tuple[int, ...]]] = [{} for _ in blocks]
    for (number, kind), some, best in zip(
        places, np.split(keep, np.cumsum([len(x) for x in values])[:-1]), values, strict=True
    ):
        if not some[np.isinf(best)].all():
            raise InputError(
                f"sparsity is {options.sparsity}: one head and one neuron of every block are more "
                "than it leaves"
            )
        removed[number][kind] = tuple(np.flatnonzero(~some).tolist())
    return removed


def kept_together(
    scores: np.ndarray, weights: np.ndarray, left: float, selection: str
) -> np.ndarray:
    """Which units stay: those of the highest scores, so many that their weights together are
    nearest to `left`; of equal scores the earlier go first. Bool, (units,).

    The public code (`selection` paper) keeps what is above the score of the last one instead, and
    so loses that one, and all that are equal to it, as well.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    last = np.abs(np.cumsum(weights[order]) - left).argmin()
    if selection == "paper":
        return scores > scores[order[last]]
    keep = np.zeros(len(scores), dtype=bool)
    keep[order[: last + 1]] = True
    return keep
