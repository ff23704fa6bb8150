"""LLM-Pruner (arXiv 2305.11627), block by block: heads and neurons that the loss depends on least.

With w a weight, g its gradient of the mean loss on all samples and F the mean square of the
samples' own gradients (the Fisher information, for the Hessian's diagonal), a row of q, k, v, gate
and up or a column of o and down is worth

    vectorize |Σ wg|    param_first Σ |wg|    param_second Σ w²F    param_mix Σ |wg - w²F/2|

and a unit what its rows and columns are worth together, as the public code combines them by
default. Biases have no part in it, and go with their heads.
"""

from dataclasses import replace

import torch
from torch import Tensor

from workflow_scripts.artefacts.masks import Plan
from workflow_scripts.config.methods.width import LLMPruner
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.masking.unit_ranking import ranked_together
from workflow_scripts.masking.width import (
    Counts,
    Scores,
    counts_of,
    lowest_units,
    plan_without,
    pruned_blocks,
)
from workflow_scripts.models.block_gradients import BlockGradients, block_gradients
from workflow_scripts.models.unit_names import NEURON, QUERY_HEAD
from workflow_scripts.models.units import BlockUnits, Lines

USES_SQUARES = ("param_second", "param_mix")


def plan(inputs: Inputs) -> Plan:
    """Remove the heads and neurons that the loss depends on least, from the blocks in between."""
    options = inputs.options
    blocks = pruned_blocks(inputs.checkpoint, options)
    wanted = range(blocks[0].block, blocks[-1].block + 1)
    squares = options.taylor in USES_SQUARES
    of_block: dict[int, Scores] = {}
    for found in block_gradients(
        inputs.checkpoint, inputs.calibration, inputs.device, squares, wanted
    ):
        units = blocks[found.block - wanted.start]
        of_block[found.block] = unit_scores(units, found, options)
    scores = [of_block[units.block] for units in blocks]
    if options.ranking == "global":
        removed = ranked_together(blocks, scores, options)
    else:

        def counts(units: BlockUnits) -> Counts:
            if options.selection == "paper":
                return paper_counts(units, options)
            return counts_of(units, options, inputs.gone.get(units.block))

        removed = [
            lowest_units(units, own, counts(units), options)
            for units, own in zip(blocks, scores, strict=True)
        ]
    return plan_without(inputs, blocks, removed)


def paper_counts(units: BlockUnits, options: LLMPruner) -> Counts:
    """How many units a block loses in the public code, by kind.

    What stays of the rows is rounded down, and of the rows that go as many heads as they hold.
    """

    def gone(rows: int) -> int:
        return rows - int(rows * (1 - options.sparsity))

    heads = gone(units.count(options.heads) * units.head_dim) // units.head_dim
    return {options.heads: heads, NEURON: gone(units.neurons)}


def line_values(
    taylor: str, weight: Tensor, gradient: Tensor, squares: Tensor | None, dimension: int
) -> Tensor:
    """What each row (`dimension` 0) or column (1) of a matrix is worth, float64.

    The three tensors have the weight's shape (output, input); `squares` is asked for by
    `param_second` and `param_mix` only.
    """
    change = weight.float() * gradient
    if taylor == "param_second":
        change = weight.float().square() * squares
    elif taylor == "param_mix":
        change = change - weight.float().square() * squares / 2
    across = 1 - dimension
    if taylor == "vectorize":
        return change.sum(across, dtype=torch.float64).abs()
    return change.abs().sum(across, dtype=torch.float64)


def folded(units: BlockUnits, options: LLMPruner) -> tuple[Lines, ...]:
    """The rows and columns of heads, each by the head that it counts for.

    The public code lays the query heads on the k heads of keys and values as if every k-th belonged
    to one of them (`fold: public`); what it then removes are those that do.
    """
    lines = units.lines(options.heads)
    if options.fold == "own":
        return lines
    of_query = {each.linear.name: each.owner for each in units.lines(QUERY_HEAD)}

    def as_public(each: Lines) -> Lines:
        query = of_query.get(each.linear.name, torch.full_like(each.owner, -1))
        return replace(each, owner=torch.where(query < 0, each.owner, query % units.kv_heads))

    return tuple(map(as_public, lines))


def unit_scores(units: BlockUnits, found: BlockGradients, options: LLMPruner) -> Scores:
    """What the heads and the neurons of a block are worth."""
    lines = {options.heads: folded(units, options), NEURON: units.lines(NEURON)}
    scores = {kind: torch.zeros(units.count(kind), dtype=torch.float64) for kind in lines}
    for kind, some in lines.items():
        for each in some:
            name = each.linear.name
            squares = found.squares[name] if found.squares else None
            values = line_values(
                options.taylor, found.weights[name], found.gradients[name], squares, each.dimension
            )
            scores[kind] += each.sums(values, units.count(kind))
    return scores
