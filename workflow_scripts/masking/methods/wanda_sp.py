"""Wanda-sp (the structured Wanda of arXiv 2312.11983): heads and neurons by weight and output.

X is what enters o and down: from the dense model, or from the pruned blocks before a block, as in
the original algorithm.
"""

from collections.abc import Iterator, Mapping

from torch import Tensor

from workflow_scripts.artefacts.masks import Plan, PrunedLinear
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.masking.width import (
    counts_of,
    lowest_units,
    plan_by_columns,
    pruned_blocks,
    read_by,
)
from workflow_scripts.models.checkpoints import Linear
from workflow_scripts.models.unit_names import NEURON
from workflow_scripts.models.units import BlockUnits
from workflow_scripts.pruning.kernels import column_means


def plan(inputs: Inputs) -> Plan:
    """Remove the heads and neurons of least Σ_j mean_i |W_ij| · ‖X_j‖, over the columns j of o and
    of down that read them.
    """
    if inputs.options.propagate == "pruned":
        return _in_sequence(inputs)
    squares = inputs.statistics.sum_squares
    return plan_by_columns(inputs, lambda x, weight: column_means(weight, squares[x.name]))


def _in_sequence(inputs: Inputs) -> Plan:
    # transformers takes longer to import than a mask of dense statistics to build
    from workflow_scripts.masking.propagation import keep_in_sequence

    options = inputs.options
    blocks = {units.block: units for units in pruned_blocks(inputs.checkpoint, options)}
    # what goes is decided on what reads the units, before it is asked of what makes them
    in_order = [
        linear
        for units in blocks.values()
        for linear in sorted(units.linears.values(), key=lambda x: x.role not in ("o", "down"))
    ]
    masks: dict[str, Tensor] = {}

    def keep(linear: Linear, weight: Tensor, sum_squares: Tensor) -> Tensor:
        if linear.name not in masks:
            units = blocks[linear.block]
            masks.update(_masks(units, linear, column_means(weight, sum_squares)))
        return masks.pop(linear.name).to(weight.device)

    def _masks(units: BlockUnits, linear: Linear, columns: Tensor) -> Mapping[str, Tensor]:
        """Of the linears of attention or of the MLP, by what the columns of o or down are worth."""
        kind = options.heads if linear.role == "o" else NEURON
        scores = {kind: read_by(units, options.heads)[kind].sums(columns, units.count(kind))}
        counts = {kind: counts_of(units, options, inputs.gone.get(units.block))[kind]}
        found = units.keep(lowest_units(units, scores, counts, options))
        return {x.name: found[x.name] for x in units.linears.values() if x.part == linear.part}

    def steps() -> Iterator[PrunedLinear]:
        yield from keep_in_sequence(
            inputs.checkpoint, in_order, inputs.calibration, keep, inputs.device
        )

    return Plan(dict.fromkeys((x.name for x in in_order), options.sparsity), steps())
