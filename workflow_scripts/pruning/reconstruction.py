"""Pruning that changes what stays, so that a linear's outputs change least: SparseGPT's algorithm.

With H = Σ x xᵀ over the tokens that enter a linear, removing weights changes its outputs least, in
the sum of squares, where the weights that stay answer for the removed ones (arXiv 2301.00774).
SparseGPT goes over the columns of a weight once, from left to right: what a column loses, the
columns to its right make up for.

The paper takes the rows of a Cholesky factor of H⁻¹ for it. The same follows from H itself, with no
inverse: with the features in reversed order, H = C · S² · Cᵀ, C unit lower triangular and S
diagonal, a quarter of the work and one matrix of H's size in memory. With D what all columns that
are decided have lost in all, their own updates included, the columns that are not become

    w_j + Σ_k D_k C_kj    over the decided k,

for one column; for several at once, that sum times the inverse of their own part of Cᵀ. A weight's
score is |w_j| · S_j, the root of the paper's w² / U_jj², U the factor of the inverse.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

PANEL = 1024  # features: large enough for full speed, small enough to leave out half the products


@dataclass(frozen=True)
class Factors:
    """C and S of C · S² · Cᵀ = H + damping, the features in reversed order.

    `lower` is (features, features), `scales` is (features,): 0 for features that are always 0.
    """

    lower: Tensor
    scales: Tensor


class InputProducts:
    """H, the sums of products of all pairs of input features over the tokens that enter a linear.

    fp32, (features, features), the features in reversed order, and only the lower triangle. An
    expert that no token is routed to takes no memory.
    """

    def __init__(self, features: int, device: torch.device | str = "cpu") -> None:
        self.features, self.device = features, device
        self.tokens = 0
        self._sums: Tensor | None = None
        self._factors: Factors | None = None

    def add_inputs(self, inputs: Tensor) -> None:
        """Count activations of shape (..., features); every token counts once."""
        flat = inputs.reshape(-1, self.features).float().flip(1)
        self.tokens += len(flat)
        if self._sums is None:
            self._sums = torch.zeros(self.features, self.features, device=self.device)
        for start in range(0, self.features, PANEL):
            end = min(start + PANEL, self.features)
            self._sums[start:end, :end].addmm_(flat[:, start:end].T, flat[:, :end])

    def factors(self, damping: float) -> Factors:
        """Factor the sums in their own memory, once: nothing can be added afterwards.

        `damping`, in units of the mean of H's diagonal over the features that are not always 0, is
        added to the diagonal. Raises ValueError, with the reason in words, where the sums are all
        0, are not finite, or are not positive definite in fp32 with so little damping.
        """
        if self._factors is None:
            self._factors, self._sums = factored(self._sums, damping), None
        return self._factors


def factored(sums: Tensor, damping: float) -> Factors:
    """Factor sums as `InputProducts` holds them, in their own memory, as its `factors` does."""
    diagonal = sums.diagonal()
    idle = diagonal == 0
    if not diagonal.isfinite().all():
        raise ValueError("its inputs on the calibration set are not finite")
    if idle.all():
        raise ValueError("its inputs on the calibration set are all 0")
    mean = (diagonal.sum(dtype=torch.float64) / (~idle).sum()).item()
    diagonal.masked_fill_(idle, mean).add_(damping * mean)
    # LAPACK's matrices lie column by column: the lower triangle is the upper one there
    info = torch.empty((), dtype=torch.int32, device=sums.device)
    torch.linalg.cholesky_ex(sums.mT, upper=True, out=(sums.mT, info))
    if info.item():
        raise ValueError(f"damping {damping} is too little for it, set a larger one")
    scales = sums.diagonal().clone()
    return Factors(sums.div_(scales), scales.masked_fill_(idle, 0))


def no_factors(features: int, device: torch.device | str = "cpu") -> Factors:
    """Those of inputs that are all alike and independent: scores are |w| and nothing is updated."""
    return Factors(torch.eye(features, device=device), torch.ones(features, device=device))


def reconstruct(
    weight: Tensor,
    found: Factors,
    choose: Callable[[Tensor, int], Tensor],
    block_size: int,
    group: int | None = None,
    dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]:
    """Prune a weight (output, input) and update what stays: (keep, weight), of its shape.

    `keep` is bool, the weight 0 where it is pruned and of `dtype`, or of its own: what a column
    loses by being rounded to it, those to its right make up for as well. `choose` is given the
    scores (output, columns) of some columns and the number of the first, and says which entries
    stay. It is asked once for every `block_size` columns, or for every `group` of them if given,
    by their weights as updated so far.
    """
    lower, scales = found.lower, found.scales
    # a column is a row here, and the last one comes first
    dense = weight.to(lower.dtype).T.flip(0).contiguous()
    columns = len(dense)
    updated = torch.zeros_like(dense, dtype=dtype or weight.dtype)
    lost = torch.zeros_like(dense)
    pruned = torch.zeros_like(dense, dtype=torch.bool)
    for end in range(columns, 0, -block_size):
        start = max(0, end - block_size)
        from_before = lower[end:, start:end].T @ lost[end:]
        for upper in range(end, start, -(group or block_size)):
            first = max(start, upper - (group or block_size))
            here = slice(first, upper)
            updates = from_before[first - start : upper - start]
            updates = updates + lower[upper:end, here].T @ lost[upper:end]
            own = lower[here, here].T.contiguous()
            current = dense[here] + torch.linalg.solve_triangular(
                own, updates, upper=True, unitriangular=True
            )
            scores = (current.abs_() * scales[here, None]).flip(0).T.contiguous()
            pruned[here] = ~choose(scores, columns - upper).T.flip(0)
            for row in range(upper - first - 1, -1, -1):
                column = first + row
                update = torch.addmv(updates[row], lost[column + 1 : upper].T, own[row, row + 1 :])
                updated[column] = update.add_(dense[column]).masked_fill_(pruned[column], 0)
                torch.sub(dense[column], updated[column], out=lost[column])
    return ~pruned.flip(0).T, updated.flip(0).T.contiguous()
