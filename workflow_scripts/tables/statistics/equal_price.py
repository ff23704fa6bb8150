"""Pruned variants against the dense model at equal price: the best of them, without the luck of it.

A variant's points, one for each budget, are joined by straight lines: who answers some problems
under one budget and the rest under the next pays, and is right, in between. At the price of each of
the reference's points every variant has thus an accuracy, and the most accurate is compared there.

The best of several looks better than it is on the problems that chose it. So the choice is part of
what is repeated: benchmarks are resampled, problem by problem, and on each the best variant is
chosen anew. By how much its difference there exceeds the one it has on the real benchmark is a draw
of the error. By how much more that is, on average, than the same of the variant that is really the
best is the optimism of choosing (Efron, JASA 78, 1983): nothing where there is one variant alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from workflow_scripts.tables.statistics.differences import independent_repeats
from workflow_scripts.tables.statistics.verdicts import ALPHA, DRAWS

SEED = 0
MOST = 0.5  # of the resampled benchmarks, on which a variant must be had for the price
NEAR = 0.02  # a price that is lower by no more than this share is enough for a variant's cheapest


@dataclass(frozen=True)
class Curve:
    """A variant under its budgets: marks of shape (budgets, problems, repeats), and the price of
    each problem, a mean over its repeats, of shape (budgets, problems).
    """

    marks: NDArray
    prices: NDArray

    @property
    def means(self) -> NDArray:
        """Marks as means over repeats, (budgets, problems)."""
        return self.marks.mean(axis=-1)


@dataclass(frozen=True)
class Best:
    """The most accurate of several variants at one price, beside the reference.

    `variant` is its number, `shares` what part of its answers have each budget, of shape
    (budgets,). `difference` is too large by `optimism`; the interval, at 95 %, is of what is left
    without it, and `p` is two-sided. `chosen`: on what share of the resampled benchmarks the same
    variant is the best.
    """

    variant: int
    shares: NDArray
    accuracy: float
    difference: float
    optimism: float
    low: float
    high: float
    p: float
    chosen: float


def best_at_equal_price(reference: Curve, variants: Sequence[Curve]) -> list[Best | None]:
    """The best variant for the price of each of the reference's budgets.

    All curves are of the same problems in one order; variants have as many budgets as each other.
    None where no variant, or on most resampled benchmarks none, can be had for that price.
    """
    problems = reference.prices.shape[-1]
    drawn = resampled(problems)
    # the real benchmark first, then those that are drawn
    weights = np.vstack([np.ones(problems), drawn[:, :problems]])
    weights /= weights.sum(axis=1, keepdims=True)
    accuracies, prices = (
        np.stack([weights @ values.T for values in of_all], axis=1)
        for of_all in ([one.means for one in variants], [one.prices for one in variants])
    )
    caps = weights @ reference.prices.T
    mixed = mixtures(prices, caps[:, np.newaxis])  # (benchmarks, variants, caps, budgets)
    at_caps = np.einsum("bvck,bvk->bvc", mixed, accuracies)
    of_reference = weights @ reference.means.T
    differences = np.nan_to_num(at_caps - of_reference[:, np.newaxis], nan=-np.inf)
    found: list[Best | None] = []
    for cap in range(len(reference.prices)):
        of_cap = differences[..., cap]
        first = int(of_cap[0].argmax())
        shares = mixed[0, first, cap]
        changes = np.tensordot(shares, variants[first].marks, axes=1) - reference.marks[cap]
        # two problems that are made up, as those of `differences.difference_intervals` are
        moves = 1 / math.sqrt(float(independent_repeats(np.nan_to_num(changes))))
        made_up = moves * (drawn[:, problems] - drawn[:, problems + 1]) / (problems + 2)
        accuracy = float(at_caps[0, first, cap])
        found.append(_best(of_cap, made_up, accuracy, shares))
    return found


def _best(of_cap: NDArray, made_up: NDArray, accuracy: float, shares: NDArray) -> Best | None:
    """From the differences on the real and the resampled benchmarks, (1 + draws, variants), -inf
    where a variant is too dear; `made_up` is what made-up problems add to each draw's.
    """
    difference, variant = float(of_cap[0].max()), int(of_cap[0].argmax())
    chosen = of_cap[1:].argmax(axis=1)
    with np.errstate(invalid="ignore"):  # too dear, drawn or not
        errors = of_cap[1:].max(axis=1) - of_cap[0, chosen]
        of_choice = errors - (of_cap[1:, variant] - of_cap[0, variant])
    known = np.isfinite(errors)
    if not math.isfinite(difference) or known.mean() < MOST:
        return None
    spread = (errors + made_up)[known]
    low, high = difference - np.quantile(spread, [1 - ALPHA / 2, ALPHA / 2])
    tails = min((spread >= difference).sum(), (spread <= difference).sum())
    return Best(
        variant,
        shares,
        accuracy,
        difference,
        float(of_choice[known & np.isfinite(of_choice)].mean()),
        float(np.clip(low, -1, 1)),
        float(np.clip(high, -1, 1)),
        min(1.0, 2 * (1 + float(tails)) / (1 + len(spread))),
        float((chosen[known] == variant).mean()),
    )


def mixtures(prices: NDArray, caps: NDArray) -> NDArray:
    """What share of answers has each budget, so that they cost as much as each cap on average.

    `prices` has shape (..., budgets), `caps` (..., caps), the result (..., caps, budgets): of the
    next cheaper and the next dearer point, or all the dearest where that costs less. NaN where the
    cheapest costs more, see NEAR.
    """
    budgets = prices.shape[-1]
    order = prices.argsort(axis=-1, kind="stable")
    ascending = np.take_along_axis(prices, order, axis=-1)
    below = (ascending[..., np.newaxis, :] <= caps[..., np.newaxis]).sum(axis=-1)
    caps = np.broadcast_to(caps, below.shape)
    places = np.clip(below - 1, 0, budgets - 1), np.clip(below, 0, budgets - 1)
    (cheap, dear) = (np.take_along_axis(ascending, place, axis=-1) for place in places)
    apart = dear > cheap
    part = np.where(apart, (caps - cheap) / np.where(apart, dear - cheap, 1.0), 0.0)
    part = np.clip(part, 0.0, 1.0)[..., np.newaxis]
    lower, upper = (np.eye(budgets)[np.take_along_axis(order, p, axis=-1)] for p in places)
    shares = (1 - part) * lower + part * upper
    too_dear = (below == 0) & (caps * (1 + NEAR) < ascending[..., :1])
    return np.where(too_dear[..., np.newaxis], math.nan, shares)


@cache
def resampled(problems: int) -> NDArray:
    """How often each problem is drawn, (DRAWS, problems + 2), the last two being made up.

    Of a few problems there are fewer draws: those of made-up ones alone are left out.
    """
    random = np.random.default_rng(SEED)
    size = problems + 2
    drawn = random.multinomial(size, np.full(size, 1 / size), DRAWS).astype(float)
    return drawn[drawn[:, :problems].any(axis=1)]


def pareto_front(prices: NDArray, accuracies: NDArray) -> NDArray:
    """Which points, (points,), are on the front: nothing that costs as little or less is more
    accurate, and nothing as accurate costs less. Of equal points all are, or none.
    """
    cheaper, better = (np.subtract.outer(one, one) for one in (-prices, accuracies))
    beaten = (cheaper >= 0) & (better >= 0) & ((cheaper > 0) | (better > 0))
    return ~beaten.any(axis=0)
