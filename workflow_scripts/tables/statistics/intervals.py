"""The mean of graded answers, and how far it can be trusted. Numbers in, numbers out.

The problem is the unit: repeats of one problem resemble each other, and another benchmark of the
same kind would bring other problems. `benchmarks/interval_coverage.py` measures how often the
intervals hold the truth.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from workflow_scripts.tables.statistics.verdicts import ALPHA


@dataclass(frozen=True)
class Estimate:
    """A number, its standard error (NaN where there is one problem) and its 95 % interval."""

    value: float
    se: float
    low: float
    high: float


def estimate_accuracy(correct: ArrayLike) -> Estimate:
    """Accuracy over problems that were each answered the same number of times.

    `correct` has shape (problems, repeats). The standard error is the standard deviation of the
    problems' means (n - 1) over the root of their number, which is the cluster-robust standard
    error for clusters of equal size. For the interval see `accuracy_intervals`.
    """
    accuracy, se, low, high = accuracy_intervals(np.asarray(correct, dtype=float))
    return Estimate(float(accuracy), float(se), float(low), float(high))


def accuracy_intervals(correct: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Accuracy, standard error and 95 % bounds of each of many experiments.

    `correct` has shape (..., problems, repeats), the results (...). The interval is Wilson's score
    interval with the effective number of answers (see `effective_answers`) in place of their
    number. Unlike accuracy ± 2 se it stays inside [0, 1], leans towards the middle near 0 and 1 as
    the distribution of an accuracy does, and keeps a width where every answer is correct.
    """
    problems = correct.shape[-2]
    means = correct.mean(axis=-1)
    accuracy = means.mean(axis=-1)
    if problems > 1:
        se = means.std(axis=-1, ddof=1) / math.sqrt(problems)
    else:
        se = np.full_like(accuracy, math.nan)
    low, high = wilson(accuracy, effective_answers(correct))
    return accuracy, se, low, high


def effective_answers(correct: NDArray) -> NDArray:
    """How many independent answers would pin the accuracy down as well as these do.

    `correct` has shape (..., problems, repeats), the result (...): n r / (1 + (r - 1) ρ) for n
    problems and r repeats (Kish), where ρ is the correlation of two answers to one problem. The
    answers' own ρ is the one with which this would equal p (1 - p) / se². It says little where few
    answers differ from the rest: two wrong ones that happen to be of two problems look independent
    whatever ρ is, and intervals come out too short. So it is averaged with ρ = 1, which counts
    problems alone. The weights are the answers' n r p (1 - p), which near 0 and 1 is the number of
    the rarer ones, and (r - 1) / 2, about that of half a problem on which all repeats agree.
    """
    *_, problems, repeats = correct.shape
    if problems == 1 or repeats == 1:
        return np.full(correct.shape[:-2], float(problems))
    means = correct.mean(axis=-1)
    accuracy = means.mean(axis=-1)
    spread = accuracy * (1 - accuracy)
    # p (1 - p) is 0 only where all answers are alike; its weight is 0 then
    ratio = repeats * means.var(axis=-1, ddof=1) / np.where(spread > 0, spread, 1.0)
    own = np.clip((ratio - 1) / (repeats - 1), 0.0, 1.0)
    weight, prior = problems * repeats * spread, (repeats - 1) / 2
    correlation = (weight * own + prior) / (weight + prior)
    return problems * repeats / (1 + (repeats - 1) * correlation)


def estimate_mean(values: ArrayLike) -> Estimate:
    """The mean over problems of a number in [0, 1] that each problem has, with its interval.

    For the interval see `mean_intervals`.
    """
    mean, se, low, high = mean_intervals(np.asarray(values, dtype=float))
    return Estimate(float(mean), float(se), float(low), float(high))


def mean_intervals(values: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Mean, standard error and 95 % bounds of each of many experiments.

    `values`, in [0, 1], has shape (..., problems), the results (...). The interval is Wilson's with
    n / λ answers for n problems, where λ is the values' variance as a share of p (1 - p), the
    largest that they can have: 1 where each is 0 or 1, less where each is a mean or a chance. Where
    few values differ from the rest they say little about λ: one problem solved in half of its
    repeats, among many that are always solved, would seem to prove that none is ever lost. So λ is
    averaged with 1, with weights n p (1 - p) and 1/2: the limit of `effective_answers` for many
    repeats, where λ is the correlation of two of them.
    """
    problems = values.shape[-1]
    # the mean of ones can be above 1 by a rounding error
    mean = np.clip(values.mean(axis=-1), 0.0, 1.0)
    if problems == 1:
        low, high = wilson(mean, np.ones_like(mean))
        return mean, np.full_like(mean, math.nan), low, high
    variance = values.var(axis=-1, ddof=1)
    weight, prior = problems * mean * (1 - mean), 0.5
    # p (1 - p) is 0 only where all values are 0 or all are 1; its weight is 0 then
    own = np.clip(problems * variance / np.where(weight > 0, weight, 1.0), 0.0, 1.0)
    low, high = wilson(mean, problems * (weight + prior) / (weight * own + prior))
    return mean, np.sqrt(variance / problems), low, high


def student_mean(values: NDArray) -> Estimate:
    """The mean over problems, of shape (problems,), of a number that is no share of right answers,
    with Student's interval; NaN without one, bounds are NaN where one problem tells none."""
    count = len(values)
    if not count:
        return Estimate(*(math.nan,) * 4)
    mean = float(values.mean())
    if count == 1:
        return Estimate(mean, *(math.nan,) * 3)
    se = float(values.std(ddof=1)) / math.sqrt(count)
    reach = float(stdtrit(count - 1, 1 - ALPHA / 2)) * se
    return Estimate(mean, se, mean - reach, mean + reach)


def mean_of_estimates(
    estimates: Sequence[Estimate], correlation: NDArray | None = None
) -> Estimate:
    """The mean of accuracies on different benchmarks, each weighing the same.

    The distances to the bounds add as errors with this `correlation` do, of shape (estimates,
    estimates), or as independent ones without (MOVER: Zou and Donner, Statistics in Medicine 27,
    2008), so that the interval is as lopsided as those it is made of.
    """
    count = len(estimates)

    def added(errors: Sequence[float]) -> float:
        if correlation is None:
            return math.hypot(*errors)
        return math.sqrt(np.asarray(errors) @ correlation @ np.asarray(errors))

    mean = sum(one.value for one in estimates) / count
    return Estimate(
        mean,
        added([one.se for one in estimates]) / count,
        mean - added([one.value - one.low for one in estimates]) / count,
        mean + added([one.high - one.value for one in estimates]) / count,
    )


def wilson(accuracy: NDArray, answers: NDArray) -> tuple[NDArray, NDArray]:
    """Wilson's 95 % score interval, for numbers of answers that need not be whole."""
    # not for every table and figure that imports this module: it takes long
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(accuracy * answers, answers, alpha=ALPHA, method="wilson")
    # the bounds can be on the wrong side of 0, 1 and the accuracy by a rounding error
    return np.clip(low, 0.0, accuracy), np.clip(high, accuracy, 1.0)
