"""Numbers of tasks from the scores of their samples, and differences between variants.

A number is a ratio of sums, Σ value / Σ weight, or a function of one, see
`artefacts.task_records.estimate`. The sample is the unit: another data set of the same kind would
bring other samples, with other weights.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from workflow_scripts.artefacts.task_records import Kind, estimate
from workflow_scripts.tables.statistics.differences import (
    difference_intervals,
    independent_repeats,
    sign_flip_p,
)
from workflow_scripts.tables.statistics.intervals import Estimate, mean_of_estimates, wilson
from workflow_scripts.tables.statistics.marks import STEPS, is_share
from workflow_scripts.tables.statistics.verdicts import ALPHA

# what a number changes by where Σ value / Σ weight changes by 1: of perplexities, the logarithm
SCALES: dict[Kind, float] = {"mean": 1.0, "perplexity": -1.0, "bits": -1 / math.log(2)}


@dataclass(frozen=True)
class Change:
    """How much a number differs between variants, with standard error and 95 % bounds.

    All but `difference` are NaN where they cannot be told from so few `samples`.
    """

    difference: float
    se: float
    low: float
    high: float
    samples: int


def estimate_scores(kind: Kind, values: NDArray, weights: NDArray) -> Estimate:
    """The number of a task with its standard error and 95 % interval; both of shape (samples,).

    A share has Wilson's interval, as in `intervals.mean_intervals`: inside [0, 1], and with a width
    where all samples agree. Any other ratio has Student's with its linearised error; that of a
    perplexity is made on the logarithmic scale. NaN where one sample tells none.
    """
    if kind == "mean" and is_share(values, weights):
        return _share(values, weights)
    scale = SCALES[kind]
    value, samples = estimate(kind, values, weights), len(values)
    se = abs(scale) * _standard_error(sample_errors(values, weights))
    reach = stats.t.ppf(1 - ALPHA / 2, samples - 1) * se if samples > 1 else math.nan
    if kind == "perplexity":
        with np.errstate(over="ignore"):  # two documents may leave everything open
            low, high = value * np.exp([-reach, reach])
        return Estimate(value, value * se, float(low), float(high))
    return Estimate(value, se, value - reach, value + reach)


def _share(values: NDArray, weights: NDArray) -> Estimate:
    """Wilson's interval with as many answers as the spread between samples tells.

    Samples whose weights differ are worth (Σ weight)² / Σ weight² of equal ones (Kish) where each
    is all right or all wrong; of those λ is their variance as a share of the largest. As in
    `mean_intervals`, to which this comes with equal weights, λ is averaged with 1.
    """
    samples, share = len(values), min(1.0, estimate("mean", values, weights))
    errors = sample_errors(values, weights)
    worth = weights.sum() ** 2 / (weights**2).sum()
    weight, prior = worth * share * (1 - share), 0.5
    own = 1.0
    if samples > 1 and weight > 0:  # it is 0 only where all agree
        own = min(1.0, worth**2 * errors.var(ddof=1) / (samples * weight))
    answers = worth * (weight + prior) / (weight * own + prior)
    low, high = wilson(np.array(share), np.array(answers))
    return Estimate(share, _standard_error(errors), float(low), float(high))


def sample_errors(values: NDArray, weights: NDArray) -> NDArray:
    """What each sample adds to the error of Σ value / Σ weight, to first order and times samples:
    (value - ratio · weight) / mean weight, whose mean is 0."""
    return (values - values.sum() / weights.sum() * weights) / weights.mean()


def _standard_error(errors: NDArray) -> float:
    """NaN for one sample."""
    count = len(errors)
    return float(errors.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan


def change(
    kind: Kind, changes: NDArray, weights: NDArray, of_marks: bool, models: int = 1
) -> Change:
    """How much the number of a task changes, from what each sample's value changes by.

    `changes` has shape (samples, pairs), of which the mean over pairs of variants counts, `weights`
    (samples,). Of perplexities it is the logarithm of their ratio. Of marks the interval is that of
    `differences.difference_intervals`, pairs standing for repeats; of other scores it is Student's.
    `models` is 2 for a difference of differences.
    """
    samples = len(weights)
    ratios = changes.sum(axis=0) / weights.sum()
    # each sample's part in the ratio, to first order
    moved = changes / weights.mean() - np.outer(weights / weights.mean() - 1, ratios)
    means = SCALES[kind] * moved.mean(axis=1)
    difference = float(means.mean())
    if of_marks:
        repeats = independent_repeats(moved)
        se, low, high = map(float, difference_intervals(means, repeats, models))
        return Change(difference, se, low, high, samples)
    se = _standard_error(means)
    reach = stats.t.ppf(1 - ALPHA / 2, samples - 1) * se if samples > 1 else math.nan
    return Change(difference, se, difference - reach, difference + reach, samples)


def change_p(kind: Kind, changes: NDArray, weights: NDArray, of_marks: bool) -> float:
    """The two-sided p value of a change of one pair of variants; both of shape (samples,).

    Of marks, that of the exact permutation test that flips the signs of samples' changes; it needs
    no weights, which are the same on both sides. Of others, that of Student's paired test.
    """
    if not of_marks:
        return mean_p([change(kind, changes[:, np.newaxis], weights, of_marks)], np.eye(1))
    steps = np.rint(STEPS * changes).astype(np.int64)
    return sign_flip_p(steps // max(1, np.gcd.reduce(np.abs(steps))))


def correlations(errors: Sequence[NDArray]) -> NDArray:
    """How errors of numbers of different tasks go together, of shape (tasks, tasks).

    `errors` are those of samples, see `sample_errors`. Tasks with samples of their own have
    independent errors, but those of HumanEval and HumanEval+ are the same problems, and so are
    those of TruthfulQA's mc1 and mc2. Names do not say so; where two tasks have equally many
    samples, in one order, their correlation is measured and counts where it is above 0. Of samples
    that have nothing to do with each other it is near 0.
    """
    found = np.eye(len(errors))
    for (i, one), (j, other) in combinations(enumerate(errors), 2):
        if len(one) == len(other) and (size := math.sqrt((one @ one) * (other @ other))) > 0:
            found[i, j] = found[j, i] = np.clip(one @ other / size, 0.0, 1.0)
    return found


def mean_change(changes: Sequence[Change], correlation: NDArray) -> Change:
    """The mean of changes of different tasks, each weighing the same, see `mean_of_estimates`.

    `correlation` is that of their errors, see `correlations`.
    """
    estimates = [Estimate(c.difference, c.se, c.low, c.high) for c in changes]
    mean = mean_of_estimates(estimates, correlation)
    return Change(mean.value, mean.se, mean.low, mean.high, sum(c.samples for c in changes))


def mean_p(changes: Sequence[Change], correlation: NDArray) -> float:
    """The two-sided p value of the mean of changes of different tasks.

    Student's test with Welch and Satterthwaite's degrees of freedom (Biometrics Bulletin 2, 1946).
    1 where nothing changes, and where one sample says nothing.
    """
    mean = mean_change(changes, correlation)
    if mean.difference == 0 or math.isnan(mean.se):
        return 1.0
    variances = np.array([c.se**2 for c in changes])
    freedom = variances.sum() ** 2 / sum(
        variance**2 / (c.samples - 1) for variance, c in zip(variances, changes, strict=True)
    )
    return float(2 * stats.t.sf(abs(mean.difference) / mean.se, freedom))
