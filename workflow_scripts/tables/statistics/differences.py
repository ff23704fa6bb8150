"""Two variants on the same problems: the difference, its interval, a test, and a verdict.

Variants answer the same problems under the same budget, each repeat from the same seed, so that
they are compared problem by problem: whatever makes a problem hard for both drops out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats
from statsmodels.stats.multitest import multipletests

from workflow_scripts.tables.statistics.verdicts import (
    ALPHA,
    BETTER,
    INCONCLUSIVE,
    NO_LARGER,
    RELEVANT,
    WORSE,
)

PARTS = 4  # part marks are quarters
POWER = 0.8  # with which the smallest detectable difference is detected


@dataclass(frozen=True)
class Difference:
    """Accuracy of a variant less that of its reference, on the same problems and repeats.

    `se` is that of the interval, which is at 95 %; `p` is two-sided and not corrected. `repeats` is
    how many independent ones the repeats of a problem are worth, see `independent_repeats`.
    """

    difference: float
    se: float
    low: float
    high: float
    p: float
    repeats: float


def paired_difference(variant: NDArray, reference: NDArray) -> Difference:
    """Compare the marks of answers, both of shape (problems, repeats) with problems in one order.

    Marks are 0 and 1, or quarters between them.
    """
    changes = np.asarray(variant, dtype=float) - np.asarray(reference, dtype=float)
    means = changes.mean(axis=-1)
    repeats = independent_repeats(changes)
    se, low, high = difference_intervals(means, repeats)
    p = sign_flip_p(changes.sum(axis=-1))
    return Difference(
        float(means.mean()), float(se), float(low), float(high), p, repeats=float(repeats)
    )


def difference_of_differences(changes: NDArray) -> Difference:
    """How much more one pair of variants differs than another, on the same problems and repeats.

    `changes`, of shape (problems, repeats), hold by how much more each answer changes, in marks.
    Those of several pairs of variants stand beside each other, as more repeats, for their mean.
    Flipping signs is exact where each problem's change is as likely to have the other sign, as it
    is where what both pairs lose of a problem could be exchanged; where only the means are equal
    the level of the test is met in the limit of many problems.
    """
    means, repeats = changes.mean(axis=-1), independent_repeats(changes)
    se, low, high = difference_intervals(means, repeats, models=2)
    p = sign_flip_p(changes.sum(axis=-1))
    return Difference(
        float(means.mean()), float(se), float(low), float(high), p, repeats=float(repeats)
    )


def independent_repeats(changes: NDArray) -> NDArray:
    """How many independent repeats of a problem would tell as much as these: from 1 to all.

    `changes`, of shape (..., problems, repeats), holds by how much each answer differs; the result
    has shape (...). It is r / (1 + (r - 1) ρ) for r repeats (Kish), with ρ the correlation of two
    changes of one problem about 0: the mean product of two over the mean square of one. ρ is 1
    where repeats are copies of each other, as without sampling, and where pruning loses a problem
    for good; it is 0 where each answer goes its own way. A few changes say little about what others
    would look like, and none at all says nothing, so that ρ is averaged with 1. The weights are
    the squares' sum, which of right and wrong is the number of changed answers, and (r - 1) / 2,
    as in `intervals.effective_answers`.
    """
    changes = np.asarray(changes, dtype=float)
    repeats = changes.shape[-1]
    if repeats == 1:
        return np.ones(changes.shape[:-2])
    squares = (changes**2).sum(axis=(-2, -1))
    # the square of a problem's sum is its squares and the products of each two of its changes
    products = (changes.sum(axis=-1) ** 2).sum(axis=-1) - squares
    prior = (repeats - 1) / 2
    correlation = np.clip((products / (repeats - 1) + prior) / (squares + prior), 0.0, 1.0)
    return repeats / (1 + (repeats - 1) * correlation)


def difference_intervals(
    means: NDArray, repeats: ArrayLike, models: int = 1
) -> tuple[NDArray, NDArray, NDArray]:
    """Standard error and 95 % bounds of the mean difference of each of many experiments.

    `means`, of shape (..., problems), holds each problem's difference as a mean over its repeats,
    which are worth `repeats` independent ones, of shape (...). The interval is Student's over
    problems, after two made-up ones have joined them, one better and one worse by 1 / √repeats, as
    far as a problem moves whose independent repeats each change by chance. With one repeat that is
    Bonett and Price's interval for paired proportions (J. Educ. Behav. Stat. 37, 2012). Without the
    two, a handful of changes gives intervals that are far too short, and none at all an interval of
    no width. A difference between the differences of two `models` is as far as both together move:
    √(2 / repeats) by chance, and 2 at most.
    """
    problems = means.shape[-1]
    size = np.broadcast_to(np.sqrt(models / np.asarray(repeats)), means.shape[:-1])
    joined = np.concatenate([means, np.stack([size, -size], axis=-1)], axis=-1)
    centre = joined.mean(axis=-1)
    se = joined.std(axis=-1, ddof=1) / math.sqrt(problems + 2)
    if problems == 1:
        most = np.full_like(centre, models)
        return np.full_like(centre, math.nan), -most, most
    reach = _quantile(problems - 1) * se
    difference = means.mean(axis=-1)
    low = np.clip(np.minimum(centre - reach, difference), -models, models)
    high = np.clip(np.maximum(centre + reach, difference), -models, models)
    return se, low, high


@cache
def _quantile(freedom: int) -> float:
    """How many standard errors Student's interval reaches."""
    return float(stats.t.ppf(1 - ALPHA / 2, freedom))


def sign_flip_p(changes: NDArray) -> float:
    """The p value of the paired permutation test that flips the sign of each problem's change.

    `changes`, of shape (problems,), are whole numbers, how many more repeats are right, or whole
    quarters where there are part marks. Where nothing differs each is as likely to have the other
    sign. All 2^problems sums are counted, not drawn: their distribution is that of sums of
    binomials, so that p is exact and has no seed.
    """
    changes = _counted(np.asarray(changes, dtype=float))
    sizes = np.abs(changes)
    counts = np.bincount(sizes, minlength=2)[1:]
    return _tail(tuple(int(count) for count in counts), abs(int(changes.sum())))


def _counted(changes: NDArray) -> NDArray:
    """Changes in whole numbers: of quarters where some are no whole marks."""
    is_whole = (changes == np.rint(changes)).all()
    return np.rint(changes if is_whole else PARTS * changes).astype(int)


@cache
def _tail(counts: tuple[int, ...], total: int) -> float:
    """P(|sum| ≥ total) of random signs on counts[0] ones, counts[1] twos, ..."""
    if total == 0:
        return 1.0
    chances = np.ones(1)  # of the part of the sum that is positive
    for size, count in enumerate(counts, 1):
        steps = np.zeros(size * count + 1)
        steps[::size] = _heads(count)
        chances = np.convolve(chances, steps)
    largest = len(chances) - 1
    return float(min(1.0, 2 * chances[(largest + total) // 2 :].sum()))


@cache
def _heads(count: int) -> NDArray:
    """The chances of 0 to `count` heads of as many coins."""
    return stats.binom.pmf(np.arange(count + 1), count, 0.5)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected over their family (Holm): below 0.05 in none of it in 95 of 100 runs in
    which nothing differs."""
    return [float(p) for p in multipletests(list(p_values), ALPHA, method="holm")[1]]


def detectable(se: float, problems: int, repeats: float, comparisons: int) -> float:
    """The smallest true difference that this design would call one in 80 of 100 runs.

    From the power of the paired t test at 0.05 over the number of `comparisons` in the family,
    which is Holm's first step. The spread between problems is the one that `se` tells, and what a
    difference δ adds where each answer changes with that chance: a variance of δ (1 - δ) / repeats,
    of which only as many count as there are independent ones (see `independent_repeats`). At most
    1. Infinite where the permutation test cannot reach that level with so few problems.
    """
    if problems < 2 or 2.0 ** (1 - problems) > ALPHA / comparisons:
        return math.inf
    effect = _effect(problems, comparisons) ** 2
    variance = se**2 * (problems + 2)
    # the positive root of δ² = effect (variance + δ (1 - δ) / repeats)
    half = effect / repeats / 2
    root = math.sqrt(half**2 + (1 + 2 * half) * effect * variance)
    return min(1.0, (half + root) / (1 + 2 * half))


@cache
def _effect(problems: int, comparisons: int) -> float:
    """The detectable difference in standard deviations of a problem's difference."""
    critical = stats.t.isf(ALPHA / comparisons / 2, problems - 1)
    # the noncentrality by scipy: statsmodels' solve_power gives wrong roots at levels this small
    return float(special.nctdtrinc(problems - 1, 1 - POWER, critical)) / math.sqrt(problems)


def verdict(difference: Difference, p_corrected: float) -> str:
    """What can be said of a difference, in words."""
    if p_corrected < ALPHA:
        return BETTER if difference.difference > 0 else WORSE
    bound = max(-difference.low, difference.high)
    if bound > RELEVANT:
        return INCONCLUSIVE
    return f"{NO_LARGER} {math.ceil(1000 * bound - 1e-6) / 1000:.3f}"
