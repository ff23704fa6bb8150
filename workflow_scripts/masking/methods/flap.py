"""FLAP (arXiv 2312.11983): the heads and neurons go whose outputs a constant replaces best.

X is what enters o and down in the dense model. With `compensate` their biases get what the columns
that go gave on average.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from workflow_scripts.artefacts.masks import Plan
from workflow_scripts.masking.compensation import bias_changes, compensated_bias
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.masking.unit_ranking import ranked_together
from workflow_scripts.masking.width import (
    Scores,
    counts_of,
    lowest_units,
    plan_without,
    pruned_blocks,
    read_by,
)
from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import Linear
from workflow_scripts.models.unit_names import NEURON
from workflow_scripts.models.units import BlockUnits
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
        removed = ranked_together(blocks, scores, options)
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
