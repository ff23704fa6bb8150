"""Wanda (arXiv 2306.11695): the weights of least |W| times the norm of their input go."""

from torch import Tensor

from workflow_scripts.artefacts.masks import Plan, PrunedLinear
from workflow_scripts.masking.inputs import Inputs, one_by_one
from workflow_scripts.models.checkpoints import Linear
from workflow_scripts.pruning.kernels import wanda_scores
from workflow_scripts.pruning.selection import keep_selected, row_selection


def plan(inputs: Inputs) -> Plan:
    """Prune the weights of least |W_ij| * ||X_j||, compared within each output row.

    X comes from the dense model where `propagate` is dense, so that no forward pass is needed here.
    Where it is pruned, as in the original algorithm, every block sees what the pruned ones before
    it hand down.
    """
    selection = row_selection(inputs.options)
    requested = inputs.allocation.sparsities

    def keep(linear: Linear, weight: Tensor, sum_squares: Tensor) -> Tensor:
        scores = wanda_scores(weight, sum_squares)
        return keep_selected(selection, linear, scores, requested[linear.name])

    if inputs.options.propagate == "dense":
        squares = inputs.statistics.sum_squares
        return one_by_one(
            inputs, lambda x, weight: PrunedLinear(x.name, keep(x, weight, squares[x.name]))
        )
    # transformers takes longer to import than a mask of dense statistics to build
    from workflow_scripts.masking.propagation import keep_in_sequence

    steps = keep_in_sequence(
        inputs.checkpoint, inputs.in_scope, inputs.calibration, keep, inputs.device
    )
    return Plan(requested, steps)
