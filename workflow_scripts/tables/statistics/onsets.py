"""From which sparsity on pruning is seen to cost accuracy, and how that moves with the budget.

Under one budget, of variants that differ in how much they remove: their losses, problem by problem,
become a curve that never falls (isotonic regression), from 0 where nothing is removed and by
straight lines between levels. Its onset is where it first reaches a loss that this benchmark, with
these repeats, would find in 80 of 100 runs (`differences.detectable`), which is itself known at
every level and goes by straight lines between them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from workflow_scripts.tables.statistics.differences import (
    detectable,
    difference_intervals,
    independent_repeats,
)
from workflow_scripts.tables.statistics.equal_price import resampled
from workflow_scripts.tables.statistics.verdicts import ALPHA


@dataclass(frozen=True)
class Onset:
    """A share of the weights, with 95 % bounds; infinite where no level loses as much.

    `drawn` has the onset of each resampled benchmark.
    """

    share: float
    low: float
    high: float
    drawn: NDArray


@dataclass(frozen=True)
class Slope:
    """By how much the onset changes with each doubling of the budget, with 95 % bounds, and of how
    many `budgets` that is the line.
    """

    budgets: int
    slope: float
    low: float
    high: float


def onset(shares: NDArray, losses: NDArray) -> Onset:
    """The onset from losses of shape (levels, problems, repeats) at ascending shares, (levels,).

    Bounds are percentiles over resampled benchmarks; what is detectable stays that of the real one.
    """
    problems = losses.shape[1]
    means, repeats = losses.mean(axis=-1), independent_repeats(losses)
    errors, _, _ = difference_intervals(means, repeats)
    found = [
        detectable(float(error), problems, float(worth), 1)
        for error, worth in zip(errors, repeats, strict=True)
    ]
    places, line = np.append(0.0, shares), np.array([found[0], *found])
    drawn = resampled(problems)[:, :problems]
    of_drawn = drawn / drawn.sum(axis=1, keepdims=True) @ means.T
    crossings = np.array([crossing(places, fitted(one), line) for one in of_drawn])
    low = np.quantile(crossings, ALPHA / 2, method="lower")
    high = np.quantile(crossings, 1 - ALPHA / 2, method="higher")
    share = crossing(places, fitted(means.mean(axis=1)), line)
    return Onset(share, float(low), float(high), crossings)


def fitted(losses: NDArray) -> NDArray:
    """The nearest losses, (levels + 1,), that begin at 0 and never fall."""
    return np.append(0.0, np.maximum(isotonic_regression(losses).x, 0.0))


def crossing(places: NDArray, losses: NDArray, line: NDArray) -> float:
    """Where losses first reach a line, both by straight lines between the places."""
    above = losses - line
    for k in range(1, len(places)):
        if above[k] >= 0:
            if above[k - 1] >= 0:
                return float(places[k - 1])
            part = above[k - 1] / (above[k - 1] - above[k])
            return float(places[k - 1] + part * (places[k] - places[k - 1]))
    return math.inf


def slope(budgets: Sequence[int], found: Sequence[Onset], largest: float) -> Slope | None:
    """The line through onsets over the logarithm of the budget, by least squares.

    Of the budgets whose onset is known: one that may as well be beyond all levels would count like
    the others and turn the line. None where they are fewer than three. A resampled benchmark
    without an onset counts as if it were at the `largest` level.
    """
    known = [n for n, one in enumerate(found) if math.isfinite(one.high)]
    if len(known) < 3:
        return None
    doublings = np.log2([budgets[n] for n in known])
    weights = (doublings - doublings.mean()) / ((doublings - doublings.mean()) ** 2).sum()
    drawn = np.minimum(np.stack([found[n].drawn for n in known]), largest)
    low, high = np.quantile(weights @ drawn, [ALPHA / 2, 1 - ALPHA / 2])
    own = weights @ np.array([found[n].share for n in known])
    return Slope(len(known), float(own), float(low), float(high))
