"""AlphaPruning: blocks with heavier-tailed spectra are pruned less (arXiv 2410.10912).

The eigenvalues of W W^T are fitted by a power law from some value on. The smaller its exponent, the
heavier the tail, and the better trained a matrix is taken to be. Weights are all it takes.

Eigenvalues come from the smaller Gram matrix in float64. Beside singular values in fp32 that is
10,000 times closer for the smallest, which the histogram begins at, and takes less time for most
shapes. Every matrix is one thread's, so that the number of threads does not matter to the bits.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.allocation.means import scaled, scaled_to_unit
from workflow_scripts.allocation.request import Request
from workflow_scripts.errors import InputError
from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import Linear

BINS = 100  # of the histogram of log eigenvalues
NEAR_PEAK = (0.95, 1.5)  # times the peak: where the tail may begin


def divide(request: Request) -> dict[str, float]:
    """One sparsity for all linears of a block, the higher the larger their mean exponent."""
    alphas = block_exponents(request)
    weights = [*request.block_weights().values()]
    return request.by_block(
        alphapruning_sparsities(alphas, weights, request.target, request.options.spread)
    )


def alphapruning_sparsities(
    alphas: Sequence[float], weights: Sequence[int], target: float, spread: float
) -> list[float]:
    """The sparsity of every block from its exponent and its number of weights.

    (1 - spread) + (alpha - min) / (max - min) * 2 * spread, times the factor with which the mean
    over all weights is `target`. A sparsity that would exceed 1 is 1 and the others grow on. With
    equal exponents every block gets the target.
    """
    unit = scaled_to_unit(np.array(alphas, dtype=np.float64))
    start = 1 - spread + 2 * spread * unit
    return scaled(start, np.array(weights, dtype=np.float64), target).tolist()


def block_exponents(request: Request) -> list[float]:
    """The mean exponent of each block's linears in scope, block by block."""

    def exponent(linear: Linear) -> float:
        torch.set_num_threads(1)
        values = eigenvalues(checkpoints.load_tensor(request.checkpoint, linear.name))
        alpha = power_law_exponent(values, request.options.tail)
        if alpha is None:
            raise InputError(
                f"{linear.name}: its singular values have no tail to fit a power law to; "
                "alphapruning cannot rank such a model"
            )
        return alpha

    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads) as pool:
            found = [*pool.map(exponent, request.linears)]
    finally:
        torch.set_num_threads(threads)
    by_block: dict[int, list[float]] = {block: [] for block in request.block_weights()}
    for linear, alpha in zip(request.linears, found, strict=True):
        by_block[linear.block].append(alpha)
    return [sum(alphas) / len(alphas) for alphas in by_block.values()]


def eigenvalues(weight: Tensor) -> np.ndarray:
    """Those of W W^T or W^T W, whichever is smaller, that are not 0, in order; float64.

    What is below the rounding of the largest one counts as 0.
    """
    wide = weight.double()
    narrow = wide if wide.shape[0] <= wide.shape[1] else wide.T
    found = torch.linalg.eigvalsh(narrow @ narrow.T).numpy()
    return found[found > found[-1] * len(found) * np.finfo(np.float64).eps]


def power_law_exponent(values: np.ndarray, tail: str = "peak") -> float | None:
    """The exponent of a power law p(x) ~ x^-alpha fitted to the tail of ordered values.

    From a value x_min on, alpha = 1 + n / sum(ln(x / x_min)) over the n values that are not below
    it. x_min is the one of least Kolmogorov-Smirnov distance among the values near the peak of the
    histogram of their logarithms (the left edge of its fullest bin). `public`: the lower end of
    what counts as near is the logarithm of what it should be, as in the public code. None where no
    value there has others above it.
    """
    if len(values) < 2:
        return None
    counts, edges = np.histogram(np.log10(values), BINS)
    low, high = (share * 10 ** edges[counts.argmax()] for share in NEAR_PEAK)
    if tail == "public":
        low = np.log10(low)
    first, last = np.searchsorted(values, low), np.searchsorted(values, high, side="right")
    fits = []
    for start in range(first, min(last, len(values) - 1)):
        ratios = values[start:] / values[start]
        logs = np.log(ratios).sum()
        if logs > 0:
            exponent = len(ratios) / logs  # alpha - 1
            expected = 1 - ratios**-exponent
            distance = np.abs(expected - np.arange(len(ratios)) / len(ratios)).max()
            fits.append((distance, start, 1 + exponent))
    return float(min(fits)[2]) if fits else None
