"""OWL: blocks with more outlier weights are pruned less (arXiv 2310.05175).

An outlier is a weight whose score |W_ij| * ||X_j|| exceeds `threshold` (the paper's M) times the
mean score of its block, over all linears of the block together. Weights and statistics are all it
takes: another threshold or spread costs no forward pass.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.allocation.means import scaled_to_unit, shifted
from workflow_scripts.allocation.request import Request
from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import Checkpoint, Linear


def divide(request: Request) -> dict[str, float]:
    """One sparsity for all linears of a block, the lower the more outlier weights they have."""
    options, squares = request.options, request.statistics.sum_squares
    outliers = outlier_percentages(request.checkpoint, request.linears, squares, options.threshold)
    weights = [*request.block_weights().values()]
    return request.by_block(
        owl_sparsities(outliers, weights, request.target, options.spread, options.floor)
    )


def owl_sparsities(
    outliers: Sequence[float],
    weights: Sequence[int],
    target: float,
    spread: float,
    floor: float | None = None,
) -> list[float]:
    """The sparsity of every block from its outlier percentage and its number of weights.

    keep = (D - min D) / (max D - min D) * 2 * spread, moved so that the mean sparsity is `target`.
    The public code takes the plain mean, which for blocks of equal size is the same. With equal
    percentages every block gets the target. Sparsities stay within [0, 1] and the others move on
    together; with a `floor`, as in the public code, those of 0 and less become the floor and the
    mean is left where it falls.
    """
    keep = scaled_to_unit(np.array(outliers, dtype=np.float64)) * 2 * spread
    sizes = np.array(weights, dtype=np.float64)
    if floor is None:
        return shifted(-keep, sizes, target).tolist()
    sparsities = np.average(keep, weights=sizes) - keep + target
    return np.where(sparsities > 0, np.minimum(sparsities, 1), floor).tolist()


def outlier_percentages(
    checkpoint: Checkpoint,
    linears: Sequence[Linear],
    sum_squares: Mapping[str, Tensor],
    threshold: float,
) -> list[float]:
    """The percentage of outliers among all weights of each block's `linears`, block by block.

    `sum_squares` gives ||X_j||² by the linear's weight name. Each linear is read twice, for the
    mean and for the count, so that only one is in memory.
    """
    percentages = []
    for _, group in groupby(linears, key=lambda linear: linear.block):
        members = list(group)
        norms = {linear.name: sum_squares[linear.name].double().sqrt() for linear in members}
        total = sum(
            score_sum(checkpoints.load_tensor(checkpoint, name), norm)
            for name, norm in norms.items()
        )
        size = sum(linear.weights for linear in members)
        limit = threshold * total / size
        outliers = sum(
            count_above(checkpoints.load_tensor(checkpoint, name), norm, limit)
            for name, norm in norms.items()
        )
        percentages.append(100 * outliers / size)
    return percentages


def score_sum(weight: Tensor, norm: Tensor) -> float:
    """The sum of |W_ij| * norm_j over a weight (output, input); norm has shape (input,)."""
    columns = torch.linalg.vector_norm(weight.float(), ord=1, dim=0, dtype=torch.float64)
    return (columns @ norm).item()


def count_above(weight: Tensor, norm: Tensor, limit: float) -> int:
    """How many scores |W_ij| * norm_j of a weight (output, input) exceed `limit`."""
    # |W_ij| against limit / norm_j saves a product for every weight. Where the norm is 0 that is
    # infinite or no number, and nothing exceeds it.
    limits = (limit / norm).float()
    return int((weight.float().abs() > limits).sum())
