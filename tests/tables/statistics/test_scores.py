"""Numbers of tasks from scores of samples, and differences: slow references, and coverage."""

import math
from itertools import product
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from workflow_scripts.tables.statistics.differences import paired_difference
from workflow_scripts.tables.statistics.intervals import estimate_mean
from workflow_scripts.tables.statistics.marks import are_marks
from workflow_scripts.tables.statistics.scores import (
    change,
    change_p,
    correlations,
    estimate_scores,
    mean_change,
    mean_p,
    sample_errors,
)

ONES = np.ones(40)


def marks(seed: int, samples: int = 40, p: float = 0.6) -> np.ndarray:
    return (np.random.default_rng(seed).random(samples) < p).astype(float)


@pytest.mark.parametrize(
    "values",
    [marks(0), np.zeros(40), ONES, np.random.default_rng(1).random(40), marks(0)[:1]],
    ids=["marks", "none", "all", "chances", "one sample"],
)
def test_a_share_of_equal_weights_is_what_an_accuracy_without_repeats_is(values):
    found = estimate_scores("mean", values, np.ones(len(values)))
    wanted = estimate_mean(values)
    assert vars(found) == pytest.approx(vars(wanted), nan_ok=True)


def test_equal_weights_may_be_of_any_size():
    one = estimate_scores("mean", 3 * marks(0), 3 * ONES)
    assert vars(one) == pytest.approx(vars(estimate_scores("mean", marks(0), ONES)))


def linearised_error(values, weights) -> float:
    """The standard error of Σ value / Σ weight by leaving out one sample after the other."""
    count = len(values)
    ratios = [(sum(values) - v) / (sum(weights) - w) for v, w in zip(values, weights, strict=True)]
    middle = sum(ratios) / count
    return math.sqrt((count - 1) / count * sum((ratio - middle) ** 2 for ratio in ratios))


def test_the_error_of_a_ratio_is_that_of_the_jackknife():
    random = np.random.default_rng(2)
    weights = random.integers(1, 4, 400).astype(float)
    values = random.binomial(weights.astype(int), 0.7).astype(float)
    found = estimate_scores("mean", values, weights)
    assert found.value == values.sum() / weights.sum()
    assert found.se == pytest.approx(linearised_error(values, weights), rel=0.01)
    # prompts are as good as independent instructions here: Wilson's interval of all of them
    half = NormalDist().inv_cdf(0.975) * math.sqrt(0.7 * 0.3 / weights.sum())
    assert found.high - found.low == pytest.approx(2 * half, rel=0.1)
    # and of prompts alone where all instructions of one are followed or none
    together = estimate_scores("mean", weights * (random.random(400) < 0.7), weights)
    worth = weights.sum() ** 2 / (weights**2).sum()
    half = NormalDist().inv_cdf(0.975) * math.sqrt(0.7 * 0.3 / worth)
    assert together.high - together.low == pytest.approx(2 * half, rel=0.1)


def test_a_perplexity_has_its_interval_on_the_logarithmic_scale():
    random = np.random.default_rng(3)
    weights = random.integers(50, 500, 62).astype(float)
    values = -weights * random.normal(2.5, 0.3, 62)
    of_words = estimate_scores("perplexity", values, weights)
    loss = -values.sum() / weights.sum()
    error = linearised_error(values, weights)
    reach = stats.t.ppf(0.975, 61) * error
    assert of_words.value == pytest.approx(math.exp(loss))
    assert of_words.se == pytest.approx(of_words.value * error, rel=0.02)
    assert math.log(of_words.high / of_words.low) / 2 == pytest.approx(reach, rel=0.02)
    assert math.sqrt(of_words.low * of_words.high) == pytest.approx(of_words.value)
    in_bits = estimate_scores("bits", values, weights)
    assert in_bits.value == pytest.approx(loss / math.log(2))
    assert in_bits.high - in_bits.value == pytest.approx(reach / math.log(2), rel=0.02)


def test_one_document_tells_no_error():
    alone = estimate_scores("perplexity", np.array([-20.0]), np.array([10.0]))
    assert alone.value == pytest.approx(math.exp(2))
    assert all(map(math.isnan, (alone.se, alone.low, alone.high)))
    change_of_one = change("perplexity", np.array([[-2.0]]), np.array([10.0]), False)
    assert change_of_one.difference == pytest.approx(0.2) and math.isnan(change_of_one.high)
    assert change_p("perplexity", np.array([-2.0]), np.array([10.0]), False) == 1.0


def test_two_documents_may_leave_everything_open():
    found = estimate_scores("perplexity", np.array([-10.0, -3000.0]), np.array([10.0, 10.0]))
    assert found.value == pytest.approx(math.exp(150.5))
    assert (found.low, found.high) == (0.0, math.inf)


def test_marks_are_compared_as_answers_without_repeats_are():
    one, other = marks(4), marks(5, p=0.4)
    wanted = paired_difference(one[:, None].astype(int), other[:, None].astype(int))
    found = change("mean", (one - other)[:, None], ONES, True)
    assert (found.difference, found.se, found.low, found.high) == pytest.approx(
        (wanted.difference, wanted.se, wanted.low, wanted.high)
    )
    assert change_p("mean", one - other, ONES, True) == wanted.p


def test_marks_come_in_steps_of_a_samples_weight():
    assert are_marks(np.array([0.0, 1.0, 0.25, 1 / 3, 0.2]), np.ones(5))
    assert are_marks(np.array([3.0, 1.0]), np.array([3.0, 2.0]))
    assert not are_marks(np.array([1.0, 0.7071]), np.ones(2))
    assert not are_marks(np.array([1.0, 5.0]), np.ones(2))


def flipped(changes) -> float:
    """The share of all ways to give the changes signs whose sum is as far from 0."""
    seen = abs(sum(changes))
    sums = [
        abs(sum(s * c for s, c in zip(signs, changes, strict=True)))
        for signs in product((-1, 1), repeat=len(changes))
    ]
    return sum(total >= seen - 1e-9 for total in sums) / len(sums)


@pytest.mark.parametrize(
    ("changes", "weights"),
    [
        ([0.25, -0.5, 1.0, 0.75, 0.0, 0.25, -0.25, 1.0], [1.0] * 8),  # part marks
        ([1 / 3, 2 / 3, -1 / 3, 1.0, 0.5], [1.0] * 5),
        ([2, 0, 1, -1, 1, 1], [3, 1, 2, 1, 1, 2]),  # instructions of a prompt
    ],
)
def test_part_marks_are_tested_exactly(changes, weights):
    found = change_p("mean", np.array(changes, dtype=float), np.array(weights, dtype=float), True)
    assert found == pytest.approx(flipped(changes))


def test_chances_and_likelihoods_are_tested_by_students_test():
    random = np.random.default_rng(6)
    one, other = random.random(60), random.random(60)
    wanted = stats.ttest_rel(one, other)
    low, high = wanted.confidence_interval()
    found = change("mean", (one - other)[:, None], np.ones(60), False)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert change_p("mean", one - other, np.ones(60), False) == pytest.approx(wanted.pvalue)
    # of documents that are equally long, the logarithm of the ratio of perplexities
    of_words = change("perplexity", 7 * (one - other)[:, None], np.full(60, 7.0), False)
    assert (of_words.low, of_words.high) == pytest.approx((-high, -low))
    assert change_p("perplexity", 7 * (one - other), np.full(60, 7.0), False) == pytest.approx(
        wanted.pvalue
    )


def test_several_pairs_count_as_repeats():
    first, second = (marks(n) - marks(n + 1) for n in (10, 20))
    wanted = paired_difference(
        np.stack([first, second], axis=1).astype(int), np.zeros((40, 2), dtype=int)
    )
    found = change("mean", np.stack([first, second], axis=1), ONES, True)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))


def test_a_mean_of_tasks_weighs_tasks_alike_and_adds_their_errors():
    changes = [
        change(
            "mean", (marks(seed, size) - marks(seed + 50, size, 0.4))[:, None], np.ones(size), True
        )
        for seed, size in ((0, 30), (1, 300), (2, 60))
    ]
    mean = mean_change(changes, np.eye(3))
    assert mean.difference == pytest.approx(sum(c.difference for c in changes) / 3)
    assert mean.se == pytest.approx(math.sqrt(sum(c.se**2 for c in changes)) / 3)
    assert mean.samples == 390
    below = math.sqrt(sum((c.difference - c.low) ** 2 for c in changes)) / 3
    assert mean.low == pytest.approx(mean.difference - below)
    # between the least and all degrees of freedom
    statistic = abs(mean.difference) / mean.se
    assert (
        2 * stats.t.sf(statistic, 387) < mean_p(changes, np.eye(3)) < 2 * stats.t.sf(statistic, 29)
    )


def test_tasks_about_the_same_samples_tell_no_more_than_one_of_them():
    one, other = (marks(seed, 164) - marks(seed + 9, 164, 0.4) for seed in (0, 1))
    ones = np.ones(164)
    single = change("mean", one[:, None], ones, True)

    def mean(*of_tasks):
        found = [change("mean", moved[:, None], ones, True) for moved in of_tasks]
        return mean_change(found, correlations([sample_errors(m, ones) for m in of_tasks]))

    twice = mean(one, one)
    assert vars(twice) == pytest.approx(vars(single) | {"samples": 328})
    # of samples that have nothing to do with each other nearly as independent tasks do
    apart = [change("mean", moved[:, None], ones, True) for moved in (one, other)]
    alone = mean_change(apart, np.eye(2)).se
    assert alone <= mean(one, other).se < 1.1 * alone
    # other numbers of samples are other samples
    assert np.array_equal(correlations([one - one.mean(), other[1:]]), np.eye(2))


def test_nothing_that_changes_is_no_evidence():
    nothing = change("perplexity", np.zeros((5, 1)), np.ones(5), False)
    assert (nothing.difference, nothing.se) == (0.0, 0.0) and mean_p([nothing], np.eye(1)) == 1.0


def test_intervals_of_means_hold_the_truth_and_tests_their_level():
    """Three tasks of different sizes and kinds of scores, of which a tenth of the marks is lost."""
    random = np.random.default_rng(7)
    experiments, held, found = 400, 0, 0
    for _ in range(experiments):
        lost, nothing = [], []
        for samples, kept in ((60, 0.9), (150, 0.8), (100, 1.0)):
            dense = (random.random(samples) < 0.7).astype(float)
            pruned = dense * (random.random(samples) < kept)
            lost.append(change("mean", (pruned - dense)[:, None], np.ones(samples), True))
            noise = random.normal(0, 0.2, (samples, 1))
            marked = random.integers(-1, 2, (samples, 1)).astype(float)
            nothing += [
                change("mean", one, np.ones(samples), one is marked) for one in (noise, marked)
            ]
        mean = mean_change(lost, np.eye(3))
        held += mean.low <= -0.7 * (0.1 + 0.2 + 0.0) / 3 <= mean.high
        found += mean_p(nothing, np.eye(6)) < 0.05
    assert 0.93 <= held / experiments <= 0.995
    assert found / experiments <= 0.075
