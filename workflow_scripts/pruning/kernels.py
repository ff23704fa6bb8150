"""Scores of weights and the choice among them: pure functions on tensors.

Among equal scores the entry with the lower index is pruned first, everywhere but in
`keep_above_quantile`, which prunes them all.
"""

import numpy as np
import torch
from torch import Tensor

FEW_ROWS = 64


def magnitude_scores(weight: Tensor) -> Tensor:
    """|W|, fp32, of the weight's shape (output, input)."""
    return weight.float().abs()


def wanda_scores(weight: Tensor, sum_squares: Tensor) -> Tensor:
    """|W_ij| * ||X_j||, fp32, (output, input) (Wanda, arXiv 2306.11695, eq. 1).

    `sum_squares`, shape (input,), is ||X_j||² over the tokens that enter the linear. A mean over
    tokens would scale every score alike and choose the same weights. Where nothing entered (an
    expert without tokens), weights are compared by |W_ij|, as if all inputs were alike.
    """
    if not sum_squares.any():
        return magnitude_scores(weight)
    return weight.float().abs() * sum_squares.float().sqrt()


def column_means(weight: Tensor, sum_squares: Tensor) -> Tensor:
    """mean_i |W_ij| * ||X_j||, float64, (input,) of a weight (output, input).

    `sum_squares`, shape (input,), is ||X_j||² over the tokens that enter the linear.
    """
    return weight.float().abs().mean(0, dtype=torch.float64) * sum_squares.double().sqrt()


def variance(sums: Tensor, sum_squares: Tensor, tokens: int) -> Tensor:
    """The unbiased variance of every input feature over tokens, (input,), float64, never negative.

    `sums` and `sum_squares` are those of the inputs, of the same shape.
    """
    deviations = sum_squares.double() - sums.double() ** 2 / max(tokens, 1)
    return deviations.clamp(min=0) / max(tokens - 1, 1)


def compensation(weight: Tensor, keep: Tensor, means: Tensor) -> Tensor:
    """What every output loses on average: Σ_j W_ij · mean(X_j) over the pruned j, (output,).

    `keep` is bool, of the weight's shape (output, input), `means` (input,). Float64.
    """
    return weight.double().masked_fill(keep, 0) @ means.double()


def keep_largest(scores: Tensor, pruned: int) -> Tensor:
    """Which entries of each row stay when exactly `pruned` lowest ones go; bool, True = kept.

    `scores` has shape (groups, entries) and is compared within each row alone. Finite scores only.
    """
    entries = scores.shape[1]
    if not 0 <= pruned <= entries:
        raise ValueError(f"cannot prune {pruned} of {entries}")
    if pruned == 0:
        return torch.ones_like(scores, dtype=torch.bool)
    highest_pruned = _nth_lowest(scores, pruned - 1)
    keep = scores > highest_pruned
    # Of the entries equal to the highest score that goes, all go in some rows; in others some stay.
    staying = entries - pruned - keep.sum(1, keepdim=True)
    tied = (staying > 0).squeeze(1)
    if tied.any():
        equal = scores[tied] == highest_pruned[tied]
        rank = equal.cumsum(1, dtype=torch.int32)  # 1 for the first of them
        keep[tied] |= equal & (rank > rank[:, -1:] - staying[tied])
    return keep


def keep_pattern(scores: Tensor, pruned: int, group: int) -> Tensor:
    """Which entries stay when the `pruned` lowest of every `group` consecutive ones of a row go.

    `scores` has shape (rows, entries), `group` divides the entries. Bool, True = kept.
    """
    groups = scores.reshape(-1, group)
    # An entry goes when fewer than `pruned` others of its group go before it. Groups are a few
    # entries long, so that counting those is many times faster than ordering millions of groups.
    columns = [groups[:, entry].contiguous() for entry in range(group)]
    before = [torch.zeros_like(column, dtype=torch.uint8) for column in columns]
    for first in range(group):
        for second in range(first + 1, group):
            in_order = columns[first] <= columns[second]
            before[second] += in_order
            before[first] += ~in_order
    keep = torch.stack([count >= pruned for count in before], dim=1)
    return keep.reshape(scores.shape)


def keep_above_quantile(scores: Tensor, index: int) -> Tensor:
    """Which entries are greater than the one with that index among the sorted entries.

    Of any shape; bool, True = kept. Prunes `index` + 1 entries, and all that equal the last one.
    """
    return scores > _nth_lowest(scores.reshape(1, -1), index).item()


def _nth_lowest(scores: Tensor, index: int) -> Tensor:
    """The entry with that index among the sorted entries of each row, (groups, 1)."""
    if scores.is_cuda:
        if len(scores) < FEW_ROWS:  # kthvalue has one processor of the GPU for each row
            return scores.sort(dim=1).values[:, index : index + 1]
        return scores.kthvalue(index + 1, dim=1, keepdim=True).values
    # several times faster than torch's own on the CPU
    ordered = np.partition(scores.numpy(), index, axis=1)
    return torch.from_numpy(ordered[:, index : index + 1].copy())
