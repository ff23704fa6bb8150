import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from workflow_scripts.tables.intervals import effective_samples, estimate_accuracy

TABLES = arrays(bool, st.tuples(st.integers(1, 30), st.integers(1, 5)))


def wilson(p: float, n: float) -> tuple[float, float]:
    """The roots of n (q - p)² = z² q (1 - q), which Wilson's interval lies between."""
    z2 = stats.norm.ppf(0.975) ** 2
    return tuple(sorted(np.roots([n + z2, -(2 * n * p + z2), n * p * p]).real))


@given(TABLES)
def test_the_standard_error_is_the_cluster_robust_one_of_a_regression(correct):
    problems, repeats = correct.shape
    estimate = estimate_accuracy(correct)
    assert estimate.accuracy == pytest.approx(correct.mean())
    if problems == 1:
        assert math.isnan(estimate.se)
        return
    model = sm.OLS(correct.reshape(-1).astype(float), np.ones(correct.size))
    clusters = np.repeat(np.arange(problems), repeats)
    fit = model.fit(
        cov_type="cluster",
        cov_kwds={"groups": clusters, "use_correction": False},
    )
    expected = fit.bse[0] * math.sqrt(problems / (problems - 1))
    assert estimate.se == pytest.approx(expected, abs=1e-9)


@given(TABLES)
def test_the_interval_is_wilsons_with_the_effective_number_of_answers(correct):
    problems, repeats = correct.shape
    estimate = estimate_accuracy(correct)
    samples = effective_samples(estimate.accuracy, estimate.se, problems, repeats)
    assert (estimate.low, estimate.high) == pytest.approx(
        wilson(estimate.accuracy, samples), abs=1e-7
    )
    assert 0 <= estimate.low <= estimate.accuracy <= estimate.high <= 1
    assert estimate.low < estimate.high


@given(arrays(bool, st.tuples(st.integers(2, 40), st.just(1))))
def test_without_repeats_the_effective_number_is_that_of_the_problems_less_one(correct):
    # p (1 - p) over the variance of a mean that is estimated with n - 1
    problems = len(correct)
    estimate = estimate_accuracy(correct)
    expected = problems - 1 if estimate.se > 0 else problems
    found = effective_samples(estimate.accuracy, estimate.se, problems, 1)
    assert found == pytest.approx(expected)


@given(arrays(bool, st.integers(2, 40)), st.integers(2, 6))
def test_repeats_that_say_the_same_add_nothing_to_what_is_known(once, repeats):
    single = estimate_accuracy(once[:, None])
    repeated = estimate_accuracy(np.repeat(once[:, None], repeats, axis=1))
    assert repeated.se == pytest.approx(single.se)
    # with the quantile of few problems the interval can only become more careful
    assert repeated.low <= single.low + 1e-12
    assert repeated.high >= single.high - 1e-12


def test_independent_repeats_count_as_answers_of_their_own():
    correct = np.random.default_rng(0).random((2000, 4)) < 0.3
    estimate = estimate_accuracy(correct)
    samples = effective_samples(estimate.accuracy, estimate.se, 2000, 4)
    assert 0.9 * 8000 < samples <= 8000


@pytest.mark.parametrize("value", [True, False])
def test_all_alike_still_has_the_width_that_the_problems_allow(value):
    estimate = estimate_accuracy([[value] * 3] * 30)
    assert (estimate.accuracy, estimate.se) == (float(value), 0.0)
    # the rule of Wilson's interval at the edge: z² / (n + z²)
    z2 = stats.norm.ppf(0.975) ** 2
    assert estimate.high - estimate.low == pytest.approx(z2 / (30 + z2))


def test_few_problems_make_the_effective_number_smaller_by_the_ratio_of_their_quantiles():
    # tabulated two-sided 95 % points of Student's t: 2.262 at 9 and 2.045 at 29 degrees of freedom
    assert effective_samples(0.5, 0.1, 10, 3) == pytest.approx(25 * (2.045 / 2.262) ** 2, rel=1e-3)
    assert effective_samples(0.5, 0.01, 10, 3) == 30


def test_one_problem_has_an_interval_and_no_standard_error():
    estimate = estimate_accuracy([[True, False, True]])
    assert math.isnan(estimate.se)
    assert (estimate.low, estimate.high) == pytest.approx(wilson(2 / 3, 1), abs=1e-9)


@pytest.mark.parametrize(("problems", "alike"), [(30, 1.0), (240, 0.3), (240, 20.0)])
def test_the_interval_covers_the_true_accuracy_as_often_as_it_says(problems, alike):
    """Made-up benchmarks: a Beta distribution of difficulty, from nearly 0 or 1 to nearly equal."""
    random = np.random.default_rng(7)
    truth, runs = 0.7, 600
    difficulty = random.beta(truth * alike, (1 - truth) * alike, size=(runs, problems, 1))
    correct = random.random((runs, problems, 3)) < difficulty
    covered = sum(e.low <= truth <= e.high for e in map(estimate_accuracy, correct))
    # 3.5 standard deviations of a count of 600 with probability 0.95
    assert abs(covered - 570) <= 3.5 * math.sqrt(600 * 0.95 * 0.05)
