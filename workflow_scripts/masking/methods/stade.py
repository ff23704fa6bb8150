"""STADE (arXiv 2503.22451): weights that little of the output's variance comes through go.

What a row loses on average can be given back by its bias: the mean of a linear's output over the
calibration set is then that of the dense one. The public code zeroes the weights before it makes
the bias, which is therefore always 0 there; so it is off unless it is asked for. `stade-w` scores
only o_proj and down_proj so, and gives only them a bias: what enters the other linears comes right
out of a norm and has a mean near 0; they are pruned as Wanda does. X is that of the dense model.
"""

from torch import Tensor

from workflow_scripts.artefacts.masks import Plan, PrunedLinear
from workflow_scripts.errors import InputError
from workflow_scripts.masking.compensation import bias_changes, compensated_bias
from workflow_scripts.masking.inputs import Inputs, one_by_one
from workflow_scripts.models.checkpoints import Linear
from workflow_scripts.models.linear_names import is_of_expert
from workflow_scripts.pruning.kernels import magnitude_scores, variance, wanda_scores
from workflow_scripts.pruning.selection import keep_selected, row_selection

BEHIND_NO_NORM = ("o", "down")


def stade_scores(weight: Tensor, variances: Tensor) -> Tensor:
    """The roots of W_ij² · Var(X_j), which orders alike and does not underflow; fp32.

    Of the weight's shape (output, input); `variances` has shape (input,). Where nothing varies (an
    expert with one token or none), weights are compared by |W_ij|.
    """
    if not variances.any():
        return magnitude_scores(weight)
    return weight.float().abs() * variances.sqrt().float()


def plan(inputs: Inputs) -> Plan:
    """Prune the weights of least W_ij² · Var(X_j), compared within each output row."""
    options, statistics = inputs.options, inputs.statistics
    selection = row_selection(options)
    by_variance = {
        linear.name: linear
        for linear in inputs.in_scope
        if options.score == "stade" or linear.role in BEHIND_NO_NORM
    }
    compensated = by_variance if options.compensate else {}
    if expert := next(filter(is_of_expert, compensated), None):
        raise InputError(
            f"compensate: {expert} is an expert's, and experts have no place for a bias: set it to "
            "false, or scope to attention"
        )

    def prune(linear: Linear, weight: Tensor) -> PrunedLinear:
        name, tokens = linear.name, statistics.tokens[linear.name]
        sums, sum_squares = statistics.sums[name], statistics.sum_squares[name]
        if name in by_variance:
            scores = stade_scores(weight, variance(sums, sum_squares, tokens))
        else:
            scores = wanda_scores(weight, sum_squares)
        keep = keep_selected(selection, linear, scores, inputs.allocation.sparsities[name])
        if name not in compensated:
            return PrunedLinear(name, keep)
        return PrunedLinear(name, keep, compensated_bias(inputs, linear, weight, keep))

    return one_by_one(inputs, prune, bias_changes(inputs.checkpoint, compensated.values()))
