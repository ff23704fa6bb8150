"""Ratios of paired means: what was lost as a share of an accuracy, what came back of what was lost.

Problems are the unit, as in `differences`, and the same two made-up ones join them: a ratio's
interval holds 0 where the interval of the difference above the line does, and there is a ratio
where that of the difference below the line leaves 0 out.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from workflow_scripts.tables.statistics.differences import independent_repeats
from workflow_scripts.tables.statistics.verdicts import ALPHA

Interval = tuple[NDArray, NDArray, NDArray]


def ratio_intervals(
    parts: NDArray, wholes: NDArray, middle: ArrayLike, scatter: tuple[ArrayLike, ...]
) -> Interval:
    """Ratio of the mean part to the mean whole and its 95 % bounds, of each of many experiments.

    `parts` and `wholes`, of shape (..., problems), hold a number for each problem. The bounds are
    Fieller's (J. R. Stat. Soc. B 16, 1954): a ratio ρ is inside where Student's test over problems
    does not find the mean of part - ρ whole to differ from 0. With the problems count two made-up
    ones whose parts and wholes are 0 and `middle` on average; `scatter` holds their sums of squares
    and products about that: of parts, of both, of wholes. All three results are NaN where the whole
    is not found to be above 0: any ratio, or none, would then do.
    """
    problems = parts.shape[-1]
    count = problems + 2
    part, whole = parts.sum(axis=-1) / count, (wholes.sum(axis=-1) + 2 * middle) / count
    products = (
        (parts**2).sum(axis=-1) - count * part**2,
        (parts * wholes).sum(axis=-1) - count * part * whole,
        (wholes**2).sum(axis=-1) + 2 * np.square(middle) - count * whole**2,
    )
    # `a ρ² - 2 b ρ + c ≤ 0` inside, from the squared test statistic; Student's quantile is infinite
    # for one problem, of which there is no ratio
    quantile = stats.t.ppf(1 - ALPHA / 2, problems - 1) if problems > 1 else math.inf
    factor = quantile**2 / (count * (count - 1))
    c, b, a = (
        mean - factor * (product + more)
        for mean, product, more in zip(
            (part**2, part * whole, whole**2), products, scatter, strict=True
        )
    )
    known = (a > 0) & (whole > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(known, parts.mean(axis=-1) / wholes.mean(axis=-1), math.nan)
        root = np.sqrt(np.maximum(b**2 - a * c, 0.0))
        low = np.where(known, np.minimum((b - root) / a, ratio), math.nan)
        high = np.where(known, np.maximum((b + root) / a, ratio), math.nan)
    return ratio, low, high


def relative_losses(losses: NDArray, dense: NDArray) -> Interval:
    """Lost accuracy as a share of the dense model's, with 95 % bounds; at most 1.

    Both have shape (..., problems, repeats): by how much each answer is worse, and whether the
    dense model's is right; those of losses may be more, see `difference_of_differences`. Made-up
    problems lose as those of a difference do, and are as hard for the dense model as the others
    are.
    """
    losses, dense = np.asarray(losses, dtype=float), np.asarray(dense, dtype=float)
    right = dense.mean(axis=-1)
    moved = 2 / independent_repeats(losses)
    ratio, low, high = ratio_intervals(
        losses.mean(axis=-1), right, right.mean(axis=-1), (moved, 0.0, 0.0)
    )
    return ratio, low, np.minimum(high, 1.0)


def regained_shares(dense: NDArray, start: NDArray, recovered: NDArray) -> Interval:
    """(recovered - start) / (dense - start), what came back of what was lost, with 95 % bounds.

    All have shape (..., problems, repeats). The made-up problems are such that the interval holds 0
    where that of recovered - start does, 1 where that of recovered - dense does, and is there where
    that of dense - start is above 0.
    """
    dense, start, recovered = (np.asarray(one, dtype=float) for one in (dense, start, recovered))
    gains, losses = recovered - start, dense - start
    of_gains, of_losses, of_rest = (
        2 / independent_repeats(one) for one in (gains, losses, recovered - dense)
    )
    # (g - l)² adds up to what the rest moves by; no products are larger than those of g = ± l
    both = (of_gains + of_losses - of_rest) / 2
    most = np.sqrt(of_gains * of_losses)
    scatter = of_gains, np.clip(both, -most, most), of_losses
    return ratio_intervals(gains.mean(axis=-1), losses.mean(axis=-1), 0.0, scatter)


def difference_of_ratios(one: Interval, other: Interval, correlation: ArrayLike) -> Interval:
    """One ratio less another, with 95 % bounds from theirs and the correlation of their errors.

    MOVER for dependent estimates (Zou, Psychological Methods 12, 2007): the distances to their
    bounds add as errors with that correlation do.
    """
    (first, low, high), (second, other_low, other_high) = one, other
    down, up = first - low, high - first
    other_down, other_up = second - other_low, other_high - second
    difference = first - second
    below = down**2 + other_up**2 - 2 * correlation * down * other_up
    above = up**2 + other_down**2 - 2 * correlation * up * other_down
    return difference, difference - np.sqrt(below), difference + np.sqrt(above)


def error_correlation(one: tuple[NDArray, NDArray], other: tuple[NDArray, NDArray]) -> NDArray:
    """How the errors of two ratios of means over the same problems go together, in [-1, 1].

    Of each, parts and wholes of shape (..., problems): to first order the error of a ratio ρ is the
    mean of part - ρ whole over problems. 0 where one of them has no error.
    """
    errors = []
    for parts, wholes in (one, other):
        whole = wholes.mean(axis=-1, keepdims=True)
        ratio = parts.mean(axis=-1, keepdims=True) / np.where(whole == 0, 1.0, whole)
        errors.append(parts - ratio * wholes)
    first, second = errors
    both = (first * second).sum(axis=-1)
    size = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    return np.clip(both / np.where(size > 0, size, 1.0), -1.0, 1.0)
