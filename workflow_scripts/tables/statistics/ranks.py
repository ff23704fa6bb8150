"""Whether two numbers of each variant put variants in the same order."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm, spearmanr

from workflow_scripts.tables.statistics.verdicts import ALPHA

LEAST = 4  # variants, of which the interval's variance is defined


class RankCorrelation(NamedTuple):
    """Spearman's ρ with its 95 % bounds; NaN where it is undefined."""

    rho: float
    low: float
    high: float


def rank_correlation(one: ArrayLike, other: ArrayLike) -> RankCorrelation:
    """Spearman's rank correlation of two numbers of each variant, both of shape (variants,).

    The bounds are those of Fisher's z with the variance (1 + ρ²/2) / (variants − 3) (Bonett and
    Wright, Psychometrika 65, 2000). A perfect order of a few variants is no certainty: it has the
    bounds of one in which two neighbours have changed places. NaN with fewer than LEAST variants,
    and where all of either number are equal.
    """
    one, other = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    variants = len(one)
    if variants < LEAST or np.ptp(one) == 0 or np.ptp(other) == 0:
        return RankCorrelation(math.nan, math.nan, math.nan)
    rho = float(spearmanr(one, other).statistic)
    most = 1 - 6 * 2 / (variants * (variants**2 - 1))  # squared differences of ranks: 1 + 1
    inside = min(max(rho, -most), most)
    reach = norm.ppf(1 - ALPHA / 2) * math.sqrt((1 + inside**2 / 2) / (variants - 3))
    low, high = (math.tanh(math.atanh(inside) + way * reach) for way in (-1, 1))
    return RankCorrelation(rho, min(low, rho), max(high, rho))
