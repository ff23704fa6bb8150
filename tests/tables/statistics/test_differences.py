import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from statsmodels.stats.power import TTestPower

from workflow_scripts.tables.statistics.differences import (
    Difference,
    detectable,
    difference_intervals,
    holm,
    independent_repeats,
    paired_difference,
    sign_flip_p,
    verdict,
)

PAIRS = st.tuples(st.integers(2, 12), st.integers(1, 4)).flatmap(
    lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape))
)


@given(arrays(int, st.integers(2, 10), elements=st.integers(-3, 3)))
def test_p_is_scipys_over_all_flips_of_signs(changes):
    found = stats.permutation_test(
        (changes,),
        lambda x, axis: np.sum(x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=2**10,
    )
    assert sign_flip_p(changes) == pytest.approx(found.pvalue)


@given(arrays(int, st.integers(2, 8), elements=st.integers(-8, 8)), st.booleans())
def test_p_of_part_marks_is_that_of_whole_quarters(quarters, has_parts):
    """The unit that marks are counted in changes nothing."""
    quarters = quarters if has_parts else 4 * quarters
    assert sign_flip_p(quarters / 4) == pytest.approx(sign_flip_p(quarters), rel=1e-12)


@given(
    st.tuples(st.integers(2, 10), st.integers(1, 3)).flatmap(
        lambda shape: st.tuples(*[arrays(int, shape, elements=st.integers(0, 4))] * 2)
    )
)
def test_marks_have_a_difference_in_its_interval(pair):
    variant, reference = (marks / 4 for marks in pair)
    found = paired_difference(variant, reference)
    assert found.difference == pytest.approx(variant.mean() - reference.mean())
    assert -1 <= found.low <= found.difference <= found.high <= 1 and found.low < found.high
    assert 0 < found.p <= 1


@given(arrays(int, st.integers(1, 300), elements=st.integers(-1, 1)))
def test_with_one_repeat_it_is_the_exact_test_of_mcnemar(changes):
    gains, changed = int((changes > 0).sum()), int(np.abs(changes).sum())
    expected = stats.binomtest(gains, changed).pvalue if changed else 1.0
    assert sign_flip_p(changes) == pytest.approx(expected)


@given(PAIRS, st.randoms())
def test_order_and_direction_change_nothing(pair, random):
    variant, reference = pair
    order = list(range(len(variant)))
    random.shuffle(order)
    one = paired_difference(variant, reference)
    other = paired_difference(reference[order], variant[order])
    assert other.p == one.p
    assert other.difference == pytest.approx(-one.difference)
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low))


@given(PAIRS)
def test_the_difference_is_in_its_interval_and_is_that_of_the_accuracies(pair):
    variant, reference = pair
    found = paired_difference(variant, reference)
    assert found.difference == pytest.approx(variant.mean() - reference.mean())
    assert -1 <= found.low <= found.difference <= found.high <= 1
    assert found.low < found.high


def test_repeats_are_summed_within_a_problem_and_not_compared_across():
    reference = np.zeros((10, 3), dtype=int)
    variant = np.zeros((10, 3), dtype=int)
    variant[0] = 1  # one problem gained three times is one sign, not three
    assert paired_difference(variant, reference).p == 1.0
    variant[:6, 0] = 1
    assert paired_difference(variant, reference).p == pytest.approx(2 / 2**6)


def test_with_one_repeat_the_interval_is_bonett_and_prices_with_students_quantile():
    gained, lost, problems = 12, 4, 50
    means = np.array([1.0] * gained + [-1.0] * lost + [0.0] * (problems - gained - lost))
    se, low, high = difference_intervals(means, 1)
    up, down = (gained + 1) / (problems + 2), (lost + 1) / (problems + 2)
    # their variance has n + 2 where a standard deviation of n + 2 numbers has n + 1
    expected = math.sqrt((up + down - (up - down) ** 2) / (problems + 1))
    assert se == pytest.approx(expected)
    reach = stats.t.ppf(0.975, problems - 1) * expected
    assert (low, high) == (pytest.approx(up - down - reach), pytest.approx(up - down + reach))


@given(st.integers(1, 30).flatmap(lambda n: st.tuples(*[arrays(bool, n)] * 2)), st.integers(2, 20))
def test_repeats_that_say_the_same_add_nothing(once, repeats):
    single = paired_difference(*(answers[:, None] for answers in once))
    repeated = paired_difference(*(np.repeat(answers[:, None], repeats, 1) for answers in once))
    assert vars(repeated) == pytest.approx(vars(single), nan_ok=True)
    assert repeated.repeats == 1


def test_what_is_told_of_nothing_that_differs_is_no_smaller_than_can_be_seen():
    """One problem of 30 is 0.033, and the permutation test needs six of them."""
    same = np.ones((30, 64), dtype=bool)
    found = paired_difference(same, same)
    assert verdict(found, 1.0) == "no difference larger than 0.092"
    assert detectable(found.se, 30, found.repeats, 1) > 6 / 30


@given(PAIRS)
def test_repeats_count_by_the_correlation_of_their_changes_and_its_prior(pair):
    """Computed from pairs of changes, one by one."""
    changes = pair[0].astype(int) - pair[1]
    problems, repeats = changes.shape
    found = float(independent_repeats(changes))
    assert 1 <= found <= repeats
    if repeats == 1:
        return
    chosen = itertools.combinations(range(repeats), 2)
    product = np.mean([changes[:, one] * changes[:, other] for one, other in chosen])
    prior = (repeats - 1) / 2
    correlation = (changes.size * product + prior) / (np.abs(changes).sum() + prior)
    expected = repeats / (1 + (repeats - 1) * min(max(correlation, 0), 1))
    assert found == pytest.approx(expected)


def test_repeats_that_change_by_chance_count_as_their_own():
    answers = np.random.default_rng(0).random((2, 2000, 4)) < 0.3
    assert 0.9 * 4 < independent_repeats(answers[1].astype(int) - answers[0]) <= 4


@pytest.mark.parametrize("kind", ["greedy", "sampled", "some redrawn"])
@pytest.mark.parametrize(
    ("problems", "repeats", "lost"), [(40, 1, 0.05), (40, 3, 0.05), (30, 10, 0.05), (100, 10, 0.02)]
)
def test_intervals_hold_the_difference_where_whole_problems_are_lost(problems, repeats, lost, kind):
    """Both draw the same random numbers, or nearly, and some problems are never solved again."""
    random = np.random.default_rng(5)
    difficulty = random.beta(0.9 * 0.67, 0.1 * 0.67, size=(1000, problems, 1))
    shape = (1000, problems, repeats)
    draws = random.random((1000, problems, 1) if kind == "greedy" else shape)
    before = np.broadcast_to(draws < difficulty, shape)
    redrawn = (random.random(shape) < 0.1) & (kind == "some redrawn")
    after = np.where(redrawn, random.random(shape) < difficulty, before)
    after &= random.random((1000, problems, 1)) >= lost
    changes = after.astype(int) - before
    _, low, high = difference_intervals(changes.mean(axis=-1), independent_repeats(changes))
    assert np.mean((low <= -lost * 0.9) & (-lost * 0.9 <= high)) >= 0.93


def test_of_nothing_that_differs_more_problems_know_more():
    widths = []
    for problems in (30, 500):
        same = np.ones((problems, 3), dtype=bool)
        found = paired_difference(same, same)
        assert found.p == 1.0 and found.low == pytest.approx(-found.high)
        widths.append(found.high)
    assert 0.03 < widths[0] < 0.1 and 0.002 < widths[1] < 0.006


def test_one_problem_says_nothing():
    found = paired_difference(np.ones((1, 3)), np.zeros((1, 3)))
    assert (found.low, found.high, found.p) == (-1.0, 1.0, 1.0)
    assert verdict(found, 1.0) == "inconclusive"


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.4]) == pytest.approx([0.8, 0.8])


@pytest.mark.parametrize(("problems", "comparisons"), [(30, 1), (198, 10), (500, 56)])
def test_the_detectable_difference_has_a_power_of_80_percent(problems, comparisons):
    se, repeats = 0.03, 3
    found = detectable(se, problems, repeats, comparisons)
    spread = math.sqrt(se**2 * (problems + 2) + found * (1 - found) / repeats)
    power = TTestPower().power(found / spread, problems, 0.05 / comparisons)
    assert power == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize("problems", [30, 198])
def test_a_detectable_difference_is_detected(problems):
    """In simulated runs, of which 80 of 100 should find it."""
    random = np.random.default_rng(3)
    difficulty = random.beta(0.4, 0.27, size=(400, problems, 1))
    answers = random.random((2, 400, problems, 3)) < difficulty
    changes = answers[1].astype(int) - answers[0]
    repeats = independent_repeats(changes)
    se, _, _ = difference_intervals(changes.mean(axis=-1), repeats)
    true = detectable(float(se.mean()), problems, float(repeats.mean()), 1)
    lower = random.random(answers[1].shape) < difficulty * (1 - true / 0.597)
    changes = lower.sum(axis=-1) - answers[0].sum(axis=-1)
    power = np.mean([sign_flip_p(row) < 0.05 for row in changes])
    assert 0.72 <= power <= 0.9


@pytest.mark.parametrize(("problems", "repeats"), [(30, 3), (198, 3), (198, 10)])
def test_a_detectable_loss_of_whole_problems_is_detected(problems, repeats):
    """In simulated runs without sampling, where nothing had told how large a change would be."""
    random = np.random.default_rng(3)
    right = random.random((400, problems)) < random.beta(0.4, 0.27, size=(400, problems))
    same = paired_difference(np.ones((problems, repeats)), np.ones((problems, repeats)))
    true = detectable(same.se, problems, same.repeats, 1)
    lost = right & (random.random(right.shape) < true / 0.597)
    power = np.mean([sign_flip_p(repeats * row) < 0.05 for row in lost.astype(int)])
    assert 0.75 <= power <= 0.95


@pytest.mark.parametrize(
    ("problems", "comparisons", "finite"), [(5, 1, False), (6, 1, True), (6, 2, False)]
)
def test_with_too_few_problems_nothing_is_detectable(problems, comparisons, finite):
    # six signs that agree are p = 2 / 64
    assert math.isfinite(detectable(0.1, problems, 3, comparisons)) is finite


@pytest.mark.parametrize(
    ("difference", "p", "said"),
    [
        ((0.05, 0.03, 0.07), 0.049, "better"),
        ((-0.05, -0.07, -0.03), 0.049, "worse"),
        ((-0.05, -0.07, -0.03), 0.05, "no difference larger than 0.070"),
        ((0.0, -0.0121, 0.0119), 1.0, "no difference larger than 0.013"),
        ((0.0, -0.05, 0.1), 1.0, "no difference larger than 0.100"),
        ((0.02, -0.08, 0.101), 1.0, "inconclusive"),
        ((-0.02, -0.12, 0.08), 1.0, "inconclusive"),
    ],
)
def test_verdicts(difference, p, said):
    of_means, low, high = difference
    assert verdict(Difference(of_means, 0.02, low, high, p, repeats=3), p) == said


def test_families_in_which_nothing_differs_have_a_verdict_in_at_most_five_of_a_hundred():
    random = np.random.default_rng(11)
    false = 0
    for _ in range(300):
        difficulty = random.beta(0.5, 0.5, size=(40, 1))
        answers = random.random((21, 40, 3)) < difficulty
        found = [paired_difference(variant, answers[0]) for variant in answers[1:]]
        # the smallest p, corrected: Holm's first step
        smallest = min(found, key=lambda one: one.p)
        false += verdict(smallest, smallest.p * len(found)) in ("better", "worse")
    # 5 % of 300, and three standard deviations of such a count
    assert false <= 15 + 3 * math.sqrt(300 * 0.05 * 0.95)
