"""Sparsities moved or scaled until they keep their bounds and have the mean asked for.

The mean is weighted by numbers of weights. As the sparsities are moved (or scaled) together, it
grows piece by piece on straight lines that bend where one of them reaches a bound. So it is
evaluated at the bends and interpolated between two of them, which is exact.
"""

from collections.abc import Callable

import numpy as np

from workflow_scripts.errors import InputError


def shifted(sparsities: np.ndarray, weights: np.ndarray, mean: float) -> np.ndarray:
    """`sparsities` + c within [0, 1], c such that the weighted mean is `mean`; all shape (n,).

    Those that would leave the bounds stay at them and the others move on together.
    """
    bends = np.unique(np.concatenate([-sparsities, 1 - sparsities]))
    return _solved(lambda c: sparsities + c, bends, weights, mean)


def scaled(sparsities: np.ndarray, weights: np.ndarray, mean: float) -> np.ndarray:
    """`sparsities` (positive) times a factor, at most 1, with the weighted mean `mean`; (n,)."""
    bends = np.concatenate([[0.0], np.unique(1 / sparsities)])
    return _solved(lambda factor: sparsities * factor, bends, weights, mean)


def _solved(
    moved: Callable[[float], np.ndarray], bends: np.ndarray, weights: np.ndarray, mean: float
) -> np.ndarray:
    def bounded(amount: float) -> np.ndarray:
        return np.clip(moved(amount), 0, 1)

    if not 0 <= mean <= 1:
        raise InputError(f"a mean sparsity of {mean} cannot be reached")
    means = [np.average(bounded(bend), weights=weights) for bend in bends]
    # rounding must not make them fall where the mean stands still
    return bounded(np.interp(mean, np.maximum.accumulate(means), bends))


def scaled_to_unit(values: np.ndarray) -> np.ndarray:
    """Values, shape (n,), moved and scaled to [0, 1]; all 0 where they are equal."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)
