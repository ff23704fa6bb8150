"""SparseGPT (arXiv 2301.00774): weights go, and those that stay make up for them.

The columns of a weight are decided on from left to right, by the weights as updated so far, and the
blocks of a model in sequence, by what the pruned and updated ones before hand down. The algorithm
is in `pruning.reconstruction`.

The public code prunes every weight up to and with a threshold, one too many in each block of
columns and all ties: `selection: paper` does so. `exact` counts: a linear loses the nearest whole
number to sparsity times weights, and every block of columns its share. The code divides H by the
number of samples, which changes nothing: damping is relative. Weights whose input is always 0 go
first; of these, the code zeroes those as well that it does not count as pruned.
"""

from torch import Tensor

from workflow_scripts.artefacts.allocations import pruned_count
from workflow_scripts.artefacts.masks import Plan, PrunedLinear
from workflow_scripts.config.methods.base import read_pattern
from workflow_scripts.errors import InputError
from workflow_scripts.jobs.progress import tell
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.models.checkpoints import Linear
from workflow_scripts.models.tensors import DTYPES
from workflow_scripts.pruning.kernels import keep_above_quantile, keep_largest, keep_pattern
from workflow_scripts.pruning.reconstruction import (
    Factors,
    InputProducts,
    no_factors,
    reconstruct,
)
from workflow_scripts.pruning.selection import check_pattern


def keep_columns(scores: Tensor, first: int, sparsity: float, selection: str) -> Tensor:
    """Which weights stay of some columns of a linear, the first of which is number `first`; bool.

    `scores` are (output, columns), compared over all of them. With `exact` selection all the
    columns up to and with these have lost the nearest whole number to sparsity times weights.
    """
    rows, columns = scores.shape
    if selection == "paper":
        index = min(int(scores.numel() * sparsity), scores.numel() - 1)
        return keep_above_quantile(scores, index)
    before, behind = (pruned_count(sparsity, rows * end) for end in (first, first + columns))
    return keep_largest(scores.reshape(1, -1), behind - before).reshape(scores.shape)


def plan(inputs: Inputs) -> Plan:
    """Prune by |w| over what the other columns cannot make up for, and update what stays."""
    # transformers takes seconds to import
    from workflow_scripts.masking.propagation import prune_in_sequence

    options, requested, members = inputs.options, inputs.allocation.sparsities, inputs.in_scope
    pattern = read_pattern(options.pattern) if options.pattern else None
    if pattern:
        for linear in members:
            check_pattern(linear, pattern)
    _note_few_tokens(members, inputs.calibration.numel())
    dtypes = {x.name: DTYPES[inputs.checkpoint.dtypes[x.name]] for x in members}

    def prune(linear: Linear, weight: Tensor, seen: InputProducts) -> PrunedLinear:
        def choose(scores: Tensor, first: int) -> Tensor:
            if pattern:
                return keep_pattern(scores, *pattern)
            return keep_columns(scores, first, requested[linear.name], options.selection)

        found = _factors(linear, seen, options.damping)
        group, dtype = pattern and pattern[1], dtypes[linear.name]
        keep, updated = reconstruct(weight, found, choose, options.block_size, group, dtype)
        return PrunedLinear(linear.name, keep, {linear.name: updated})

    steps = prune_in_sequence(
        inputs.checkpoint, members, inputs.calibration, prune, InputProducts, inputs.device
    )
    changes = {linear.name: (dtypes[linear.name], linear.shape) for linear in members}
    return Plan(requested, steps, changes=changes)


def _factors(linear: Linear, seen: InputProducts, damping: float) -> Factors:
    if not seen.tokens:  # an expert's, which is pruned by magnitude
        return no_factors(seen.features, seen.device)
    try:
        return seen.factors(damping)
    except ValueError as reason:
        raise InputError(f"{linear.name} has no Hessian: {reason}") from None


def _note_few_tokens(linears: tuple[Linear, ...], tokens: int) -> None:
    """Say on stderr where a Hessian cannot have full rank, if any."""
    widest = max(linears, key=lambda linear: linear.shape[1])
    if tokens < widest.shape[1]:
        tell(
            f"the calibration set has {tokens} tokens, fewer than the {widest.shape[1]} inputs of "
            f"{widest.name}: its Hessian is invertible by damping alone; more samples would help"
        )
