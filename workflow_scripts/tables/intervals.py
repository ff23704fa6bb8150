"""The mean of graded answers, and how far it can be trusted. Numbers in, numbers out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

ALPHA = 0.05  # 1 - confidence of every interval


@dataclass(frozen=True)
class Estimate:
    """An accuracy, its standard error (NaN where there is one problem) and its 95 % interval."""

    accuracy: float
    se: float
    low: float
    high: float


def estimate_accuracy(correct: Sequence[Sequence[bool]]) -> Estimate:
    """Accuracy over problems that were each answered the same number of times.

    `correct` has shape (problems, repeats). Repeats of a problem are not independent of each other,
    so the problem is the unit: the accuracy is the mean of the problems' means, its standard error
    their standard deviation (n - 1) over the root of their number, which is the cluster-robust
    standard error for clusters of equal size.

    The interval is Wilson's score interval with the effective number of samples (see
    `effective_samples`) in place of the number of answers. Unlike accuracy ± 2 se it stays inside
    [0, 1] and keeps a width where every answer is correct.
    """
    answers = np.asarray(correct, dtype=float)
    problems, repeats = answers.shape
    means = answers.mean(axis=1)
    accuracy = float(answers.mean())
    se = float(means.std(ddof=1) / math.sqrt(problems)) if problems > 1 else math.nan
    samples = effective_samples(accuracy, se, problems, repeats)
    low, high = proportion_confint(accuracy * samples, samples, alpha=ALPHA, method="wilson")
    # the bounds of Wilson's interval can be on the wrong side of 0, 1 and p by a rounding error
    low, high = max(0.0, min(float(low), accuracy)), min(1.0, max(float(high), accuracy))
    return Estimate(accuracy, se, low, high)


def effective_samples(accuracy: float, se: float, problems: int, repeats: int) -> float:
    """How many independent answers would pin the accuracy down as well as these do.

    Kish: p (1 - p) / se², the size of a simple random sample with this standard error. Korn and
    Graubard (Survey Methodology 24, 1998): times the squared ratio of t quantiles, because se is
    itself an estimate from few problems. Never more than the answers there are. Where se is 0 or
    undefined the answers do not show how alike repeats are; then only problems count.
    """
    if not se > 0:
        return float(problems)
    kish = accuracy * (1 - accuracy) / se**2
    of_answers = stats.t.ppf(1 - ALPHA / 2, problems * repeats - 1)
    of_problems = stats.t.ppf(1 - ALPHA / 2, problems - 1)
    return float(min(kish * (of_answers / of_problems) ** 2, problems * repeats))
