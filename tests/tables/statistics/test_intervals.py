import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from workflow_scripts.tables.statistics.areas import budget_weights
from workflow_scripts.tables.statistics.intervals import (
    Estimate,
    accuracy_intervals,
    effective_answers,
    estimate_accuracy,
    estimate_mean,
    mean_intervals,
    mean_of_estimates,
    student_mean,
)
from workflow_scripts.tables.statistics.parallel import pass_at_k

TABLES = arrays(bool, st.tuples(st.integers(1, 30), st.integers(1, 5)))


def wilson(p: float, n: float) -> tuple[float, float]:
    """The roots of n (q - p)² = z² q (1 - q), which Wilson's interval lies between."""
    z2 = stats.norm.ppf(0.975) ** 2
    return tuple(sorted(np.roots([n + z2, -(2 * n * p + z2), n * p * p]).real))


@given(TABLES)
def test_the_standard_error_is_the_cluster_robust_one_of_a_regression(correct):
    problems, repeats = correct.shape
    estimate = estimate_accuracy(correct)
    assert estimate.value == pytest.approx(correct.mean())
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
    estimate = estimate_accuracy(correct)
    answers = float(effective_answers(correct.astype(float)))
    assert (estimate.low, estimate.high) == pytest.approx(wilson(estimate.value, answers), abs=1e-7)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.low < estimate.high


@given(TABLES)
def test_answers_count_at_most_each_and_at_least_once_a_problem(correct):
    problems, repeats = correct.shape
    answers = effective_answers(correct.astype(float))
    assert problems * (1 - 1e-12) <= answers <= problems * repeats


@given(arrays(bool, st.tuples(st.integers(2, 25), st.integers(2, 5))))
def test_the_effective_number_is_that_of_the_correlation_and_its_prior(correct):
    """Computed from pairs of answers: the correlation as a share of problems' agreement."""
    problems, repeats = correct.shape
    p = correct.mean()
    if p in (0, 1):
        expected = 1.0
    else:
        of_means = sum((row.mean() - p) ** 2 for row in correct) / (problems - 1)
        own = (repeats * of_means / (p * (1 - p)) - 1) / (repeats - 1)
        own = min(max(own, 0.0), 1.0)
        weight = correct.size * p * (1 - p)
        expected = (weight * own + (repeats - 1) / 2) / (weight + (repeats - 1) / 2)
    answers = float(effective_answers(correct.astype(float)))
    assert answers == pytest.approx(correct.size / (1 + (repeats - 1) * expected))


@given(arrays(bool, st.tuples(st.integers(1, 40), st.just(1))))
def test_without_repeats_the_interval_is_wilsons_own(correct):
    estimate = estimate_accuracy(correct)
    expected = stats.binomtest(int(correct.sum()), correct.size).proportion_ci(method="wilson")
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high))


@given(arrays(bool, st.integers(2, 40)), st.integers(2, 6))
def test_repeats_that_say_the_same_add_nothing_to_what_is_known(once, repeats):
    single = estimate_accuracy(once[:, None])
    repeated = estimate_accuracy(np.repeat(once[:, None], repeats, axis=1))
    assert repeated.se == pytest.approx(single.se)
    assert (repeated.low, repeated.high) == pytest.approx((single.low, single.high))


def test_independent_repeats_count_as_answers_of_their_own():
    correct = np.random.default_rng(0).random((2000, 4)) < 0.3
    assert 0.9 * 8000 < effective_answers(correct.astype(float)) <= 8000


def test_two_wrong_answers_of_two_problems_are_no_proof_of_independence():
    correct = np.ones((100, 3))
    correct[:2, 0] = 0
    assert 150 < effective_answers(correct) < 200


@pytest.mark.parametrize("value", [True, False])
def test_all_alike_still_has_the_width_that_the_problems_allow(value):
    estimate = estimate_accuracy([[value] * 3] * 30)
    assert (estimate.value, estimate.se) == (float(value), 0.0)
    # the rule of Wilson's interval at the edge: z² / (n + z²)
    z2 = stats.norm.ppf(0.975) ** 2
    assert estimate.high - estimate.low == pytest.approx(z2 / (30 + z2))


def test_one_problem_has_an_interval_and_no_standard_error():
    estimate = estimate_accuracy([[True, False, True]])
    assert math.isnan(estimate.se)
    assert (estimate.low, estimate.high) == pytest.approx(wilson(2 / 3, 1), abs=1e-9)


def test_many_experiments_at_once_are_each_as_by_itself():
    correct = (np.random.default_rng(3).random((2, 5, 12, 3)) < 0.8).astype(float)
    together = accuracy_intervals(correct)
    assert [values.shape for values in together] == [(2, 5)] * 4
    alone = estimate_accuracy(correct[1, 2])
    found = tuple(float(values[1, 2]) for values in together)
    assert found == (alone.value, alone.se, alone.low, alone.high)


@pytest.mark.parametrize(
    ("truth", "problems", "alike"),
    [(0.7, 30, 1.0), (0.7, 240, 20.0), (0.02, 100, 0.05), (0.97, 100, 0.25), (0.9, 40, 0.5)],
)
def test_the_interval_covers_the_true_accuracy_as_often_as_it_says(truth, problems, alike):
    """Made-up benchmarks: a Beta distribution of difficulty, from nearly 0 or 1 to nearly equal."""
    random = np.random.default_rng(7)
    difficulty = random.beta(truth * alike, (1 - truth) * alike, size=(1000, problems, 1))
    correct = random.random((1000, problems, 3)) < difficulty
    _, _, low, high = accuracy_intervals(correct.astype(float))
    assert 0.93 <= np.mean((low <= truth) & (truth <= high)) <= 0.98


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_mean_of_numbers_and_its_interval(values):
    estimate = estimate_mean(values)
    assert estimate.value == pytest.approx(np.mean(values))
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    if len(values) > 1:
        assert estimate.se == pytest.approx(stats.sem(values), abs=1e-12)


@given(arrays(float, st.integers(2, 30), elements=st.floats(0, 1)))
def test_the_interval_of_a_mean_is_wilsons_with_answers_by_the_share_of_variance(values):
    problems, p = len(values), values.mean()
    spread = p * (1 - p)
    share = min(sum((values - p) ** 2) / (problems - 1) / spread, 1) if spread > 1e-9 else 1
    weight = problems * spread
    answers = problems / ((weight * share + 0.5) / (weight + 0.5))
    estimate = estimate_mean(values)
    assert (estimate.low, estimate.high) == pytest.approx(wilson(p, answers), abs=1e-6)


@given(arrays(bool, st.integers(1, 40)))
def test_of_right_and_wrong_it_is_the_accuracys(once):
    of_values, of_answers = estimate_mean(once), estimate_accuracy(once[:, None])
    assert vars(of_values) == pytest.approx(vars(of_answers), nan_ok=True)


def test_the_interval_of_a_mean_is_the_accuracys_of_many_repeats():
    solved = np.array([1000] * 20 + [900, 700, 300, 0])
    correct = np.arange(1000) < solved[:, None]
    of_values, of_answers = estimate_mean(solved / 1000), estimate_accuracy(correct)
    assert vars(of_values) == pytest.approx(vars(of_answers), abs=1e-3)


def test_one_value_that_differs_is_no_proof_that_others_do_not():
    alike = estimate_mean(np.ones(30))
    solved = np.full((30, 16), True)
    solved[0, :8] = False
    one_apart = estimate_mean(pass_at_k(solved, 8))  # 0.99999741
    assert one_apart.low == pytest.approx(alike.low, abs=1e-3)
    # the area where every problem is right under the larger budgets only, and one under all
    areas = np.full(30, 0.625)
    few = estimate_mean(areas)
    areas[0] = 1.0
    assert few.high - few.low < 1.2 * (estimate_mean(areas).high - estimate_mean(areas).low)


def test_many_means_at_once_are_each_as_by_itself():
    values = np.random.default_rng(3).random((2, 5, 12))
    together = mean_intervals(values)
    assert [numbers.shape for numbers in together] == [(2, 5)] * 4
    alone = estimate_mean(values[1, 2])
    found = tuple(float(numbers[1, 2]) for numbers in together)
    assert found == (alone.value, alone.se, alone.low, alone.high)


@pytest.mark.parametrize(
    ("repeats", "k", "problems", "accuracy"),
    [(16, 8, 198, 0.95), (16, 8, 30, 0.9), (8, 4, 30, 0.9), (4, 2, 198, 0.95)],
)
def test_the_interval_covers_the_true_pass_at_k(repeats, k, problems, accuracy):
    """Made-up benchmarks on which nearly all is solved in k attempts."""
    random = np.random.default_rng(7)
    alike = 7 / 3  # two answers to a problem have a correlation of 0.3
    wrong = (1 - accuracy) * alike
    difficulty = random.beta(accuracy * alike, wrong, size=(500, problems, 1))
    values = pass_at_k(random.random((500, problems, repeats)) < difficulty, k)
    # of a Beta distribution: the mean of the k-th power of its complement
    truth = 1 - math.prod((wrong + i) / (alike + i) for i in range(k))
    _, _, low, high = mean_intervals(values)
    assert np.mean((low <= truth) & (truth <= high)) >= 0.93


@pytest.mark.parametrize(("accuracy", "problems"), [(0.98, 30), (0.7, 198)])
def test_the_interval_covers_the_true_area(accuracy, problems):
    """Three repeats under five budgets, of which most answers are those under the one before."""
    random = np.random.default_rng(7)
    difficulty = random.beta(accuracy * 3, (1 - accuracy) * 3, size=(1000, problems, 1))
    shape = (1000, problems, 3)
    first = random.random(shape) < difficulty
    answers = [
        np.where(random.random(shape) < 0.7, first, random.random(shape) < difficulty)
        for _ in range(5)
    ]
    weights = budget_weights([512, 1024, 2048, 4096, 8192])
    _, _, low, high = mean_intervals(np.tensordot(weights, np.mean(answers, axis=-1), 1))
    assert 0.93 <= np.mean((low <= accuracy) & (accuracy <= high)) <= 0.99


def test_errors_of_benchmarks_add_as_independent_ones():
    one, other = Estimate(0.5, 0.03, 0.44, 0.58), Estimate(0.9, 0.04, 0.82, 0.96)
    mean = mean_of_estimates([one, other])
    assert mean.value == pytest.approx(0.7)
    assert mean.se == pytest.approx(0.025)  # 3, 4, 5
    assert mean.low == pytest.approx(0.7 - 0.05) and mean.high == pytest.approx(0.7 + 0.05)
    alone = mean_of_estimates([one])
    assert (alone.low, alone.high) == pytest.approx((one.low, one.high))


@given(arrays(float, st.integers(2, 30), elements=st.floats(0, 1)))
def test_a_mean_of_no_right_answers_has_students_interval(values):
    found = student_mean(values)
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values) or 1e-300)
    assert (found.value, found.low, found.high) == pytest.approx((values.mean(), low, high))


def test_one_number_tells_no_interval_and_none_no_mean():
    one, none = student_mean(np.array([0.3])), student_mean(np.array([]))
    assert one.value == 0.3 and np.isnan([one.se, one.low, one.high]).all()
    assert np.isnan([none.value, none.se, none.low, none.high]).all()
