"""Whether two numbers of each variant put variants in the same order."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from workflow_scripts.tables.statistics.verdicts import ALPHA

LEAST = 4  # variants: of fewer, resampling gives hardly anything but the same order again
RESAMPLES = 10_000
SEED = 0


class RankCorrelation(NamedTuple):
    """Spearman's ρ with its 95 % bounds; NaN where it is undefined."""

    rho: float
    low: float
    high: float


def rank_correlation(one: ArrayLike, other: ArrayLike) -> RankCorrelation:
    """Spearman's rank correlation of two numbers of each variant, both of shape (variants,).

    The bounds are the percentiles of ρ over variants drawn with replacement, always the same draws
    for a number of variants; draws in which all of either number are equal are left out. They are
    rough: of few variants, an interval holds the true ρ somewhat less often than it says. NaN with
    fewer than LEAST variants, and where all of either number are equal.
    """
    pair = np.stack([np.asarray(one, dtype=float), np.asarray(other, dtype=float)])
    variants = pair.shape[1]
    if variants < LEAST:
        return RankCorrelation(math.nan, math.nan, math.nan)
    rho = float(_correlations(pair[:, None])[0])
    if math.isnan(rho):
        return RankCorrelation(rho, rho, rho)
    draws = np.random.default_rng(SEED).integers(variants, size=(RESAMPLES, variants))
    resampled = _correlations(pair[:, draws])
    low, high = np.nanquantile(resampled, [ALPHA / 2, 1 - ALPHA / 2])
    return RankCorrelation(rho, float(low), float(high))


def _correlations(pairs: NDArray) -> NDArray:
    """Spearman's ρ of each of many experiments: (2, experiments, variants) -> (experiments,)."""
    ranks = rankdata(pairs, axis=-1)
    one, other = ranks - ranks.mean(axis=-1, keepdims=True)
    norm = np.sqrt((one**2).sum(axis=-1) * (other**2).sum(axis=-1))
    with np.errstate(invalid="ignore"):
        # the quotient of equal ranks may be past 1 by its rounding
        return np.clip((one * other).sum(axis=-1) / norm, -1.0, 1.0)
