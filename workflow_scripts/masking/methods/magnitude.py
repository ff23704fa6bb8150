"""Magnitude pruning: the weights of least absolute value go."""

from torch import Tensor

from workflow_scripts.artefacts.masks import Plan, PrunedLinear
from workflow_scripts.masking.inputs import Inputs, one_by_one
from workflow_scripts.models.checkpoints import Linear
from workflow_scripts.pruning.kernels import magnitude_scores
from workflow_scripts.pruning.selection import keep_selected, magnitude_selection


def plan(inputs: Inputs) -> Plan:
    """Prune the weights of least absolute value, compared within each linear."""
    selection = magnitude_selection(inputs.options, inputs.allocation.kind)

    def prune(linear: Linear, weight: Tensor) -> PrunedLinear:
        sparsity = inputs.allocation.sparsities[linear.name]
        scores = magnitude_scores(weight)
        return PrunedLinear(linear.name, keep_selected(selection, linear, scores, sparsity))

    return one_by_one(inputs, prune)
