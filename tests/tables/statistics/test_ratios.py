"""Ratios of paired means, against slow references and simulated truths."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize, stats

from workflow_scripts.tables.statistics.differences import (
    difference_intervals,
    difference_of_differences,
    independent_repeats,
    paired_difference,
)
from workflow_scripts.tables.statistics.ratios import (
    difference_of_ratios,
    error_correlation,
    regained_shares,
    relative_losses,
)


def answers(count: int):
    """So many models' answers to the same problems, each of shape (problems, repeats)."""
    return st.tuples(st.integers(3, 25), st.integers(1, 4)).flatmap(
        lambda shape: st.tuples(*(arrays(bool, shape) for _ in range(count)))
    )


def losses_of(dense, variant):
    return dense.astype(int) - variant


def on_side(low: float, high: float) -> int:
    """Where an interval is: above 0, below it, or on both sides."""
    return int(low > 1e-9) - int(high < -1e-9)


@given(answers(2))
def test_a_relative_loss_is_the_ratio_and_its_interval_has_0_where_the_losses_has(pair):
    dense, variant = pair
    ratio, low, high = map(float, relative_losses(losses_of(dense, variant), dense))
    assume(not math.isnan(ratio))
    assert ratio == pytest.approx(1 - variant.mean() / dense.mean())
    assert low <= ratio <= high <= 1
    loss = paired_difference(dense, variant)
    assume(min(abs(loss.low), abs(loss.high)) > 1e-6)
    assert on_side(low, high) == on_side(loss.low, loss.high)


@given(answers(2))
def test_bounds_of_a_relative_loss_are_where_students_test_finds_the_difference_from_it(pair):
    """Root finding on the test itself, with the two problems added to the others one by one."""
    dense, variant = pair
    losses = losses_of(dense, variant)
    ratio, low, high = map(float, relative_losses(losses, dense))
    assume(not math.isnan(ratio) and low < ratio < high < 1)
    size = 1 / math.sqrt(float(independent_repeats(losses)))
    parts = [*losses.mean(axis=1), size, -size]
    wholes = [*dense.mean(axis=1), dense.mean(), dense.mean()]
    quantile = stats.t.ppf(0.975, len(dense) - 1)

    def beyond(share: float) -> float:
        rest = np.array(parts) - share * np.array(wholes)
        return abs(rest.mean()) - quantile * rest.std(ddof=1) / math.sqrt(len(rest))

    for bound in (low, high):
        step = 1e-4 * (1 if bound == high else -1)
        assert optimize.brentq(beyond, bound - step, bound + step) == pytest.approx(bound, abs=1e-7)


def test_an_accuracy_that_is_not_clearly_above_0_has_no_relative_loss():
    dense = np.zeros((30, 2), dtype=int)
    dense[0] = 1
    assert all(math.isnan(one) for one in relative_losses(dense, dense))


@given(answers(3))
def test_what_came_back_agrees_with_the_three_differences_that_it_is_made_of(three):
    """There where the loss is clear, 0 is inside where no gain is, 1 where no rest is."""
    dense, start, recovered = three
    ratio, low, high = map(float, regained_shares(dense, start, recovered))
    loss, gain, rest = (
        paired_difference(one, other)
        for one, other in ((dense, start), (recovered, start), (recovered, dense))
    )
    assume(min(abs(loss.low), *(min(abs(d.low), abs(d.high)) for d in (gain, rest))) > 1e-6)
    assert math.isnan(ratio) == (loss.low < 0)
    if not math.isnan(ratio):
        assert ratio == pytest.approx(gain.difference / loss.difference)
        assert on_side(low, high) == on_side(gain.low, gain.high)
        repeats = dense.shape[1]
        if repeats <= 4:  # the made-up problems' products are then within their bounds
            assert on_side(low - 1, high - 1) == on_side(rest.low, rest.high)


def test_all_of_it_back_is_1_and_nothing_is_0():
    dense, start = np.ones((40, 2), dtype=int), np.zeros((40, 2), dtype=int)
    start[:20] = 1
    for recovered, expected in ((dense, 1), (start, 0)):
        ratio, low, high = regained_shares(dense, start, recovered)
        assert ratio == expected and low < expected < high


def test_a_difference_of_differences_is_students_interval_with_problems_that_move_as_two():
    random = np.random.default_rng(0)
    changes = random.integers(-2, 3, size=(40, 3))
    found = difference_of_differences(changes)
    size = math.sqrt(2 / float(independent_repeats(changes)))
    joined = [*changes.mean(axis=1), size, -size]
    reach = stats.t.ppf(0.975, 39) * np.std(joined, ddof=1) / math.sqrt(42)
    assert found.low == pytest.approx(np.mean(joined) - reach)
    assert found.high == pytest.approx(np.mean(joined) + reach)
    resampled = stats.bootstrap((changes.mean(axis=1),), np.mean, rng=0, n_resamples=4000)
    width = resampled.confidence_interval.high - resampled.confidence_interval.low
    assert found.high - found.low == pytest.approx(width, rel=0.15)
    both = difference_of_differences(np.concatenate([changes, -changes], axis=0))
    assert both.difference == pytest.approx(0, abs=1e-12) and both.p == 1
    lone = difference_of_differences(np.array([[2, -2]]))
    assert (lone.low, lone.high) == (-2, 2)


def test_a_difference_of_ratios_without_correlation_is_that_of_independent_errors():
    one, other = (np.array(0.5), np.array(0.4), np.array(0.7)), (np.array(0.2),) * 3
    found = difference_of_ratios(one, other, 0.0)
    assert [float(x) for x in found] == pytest.approx([0.3, 0.2, 0.5])
    # of what errors have in common, only lopsidedness is left
    same = difference_of_ratios(one, one, 1.0)
    assert [float(x) for x in same] == pytest.approx([0, -0.1, 0.1])


def test_errors_of_one_ratio_and_its_copy_go_together_and_of_its_mirror_against_it():
    random = np.random.default_rng(1)
    parts, wholes = random.random(30), 1 + random.random(30)
    assert error_correlation((parts, wholes), (2 * parts, wholes)) == pytest.approx(1)
    assert error_correlation((parts, wholes), (-parts, wholes)) == pytest.approx(-1)
    assert error_correlation((parts, wholes), (wholes, wholes)) == pytest.approx(0, abs=1e-12)


def hard(random, experiments, problems, accuracies):
    """Each problem's accuracy for two models that find the same ones hard, more or less."""
    ranks = random.random((experiments, problems))
    again = random.random(ranks.shape)
    other = np.where(random.random(ranks.shape) < 0.6, ranks, again)
    return [
        stats.beta.ppf(of_model, accuracy / 1.5, (1 - accuracy) / 1.5)
        for of_model, accuracy in zip((ranks, other), accuracies, strict=False)
    ]


@pytest.mark.parametrize("kind", ["anew", "whole problems"])
@pytest.mark.parametrize("repeats", [1, 3])
def test_intervals_of_a_pair_hold_the_truth_in_93_of_100_runs_at_least(kind, repeats):
    """Models of accuracy 0.3 and 0.9 that lose a fifth and two fifths of their right answers.

    Of 1,000 runs 926 hold the truth by chance in one of a thousand tests, if 950 do on average.
    """
    random, lost = np.random.default_rng(repeats), (0.2, 0.4)
    chances = hard(random, 1000, 60, (0.3, 0.9))
    dense, losses = [], []
    for of_model, share in zip(chances, lost, strict=True):
        whole = (*of_model.shape, repeats)
        one = random.random(whole) < of_model[..., None]
        if kind == "anew":
            other = random.random(whole) < (1 - share) * of_model[..., None]
        else:
            other = one & (random.random(of_model.shape) >= share)[..., None]
        dense.append(one.astype(int))
        losses.append(one.astype(int) - other)
    more = losses[1] - losses[0]
    _, low, high = difference_intervals(more.mean(axis=-1), independent_repeats(more), models=2)
    assert covered(0.9 * 0.4 - 0.3 * 0.2, low, high) > 0.926
    ratios = [relative_losses(*both) for both in zip(losses, dense, strict=True)]
    for (_, low, high), share in zip(ratios, lost, strict=True):
        assert covered(share, low, high) > 0.926
    errors = [
        (one.mean(axis=-1), all_.mean(axis=-1)) for one, all_ in zip(losses, dense, strict=True)
    ]
    _, low, high = difference_of_ratios(ratios[1], ratios[0], error_correlation(*errors))
    assert covered(0.2, low, high) > 0.926


@pytest.mark.parametrize("repeats", [1, 3])
def test_the_interval_of_what_came_back_holds_the_truth_where_it_is_stated(repeats):
    """Pruning loses half of the right answers, and training brings back three fifths of these."""
    random = np.random.default_rng(repeats)
    (chances,) = hard(random, 1000, 100, (0.8,))[:1]
    draws = random.random((3, *chances.shape, repeats))
    dense, start, recovered = (
        (one < share * chances[..., None]).astype(int)
        for one, share in zip(draws, (1, 0.5, 0.8), strict=True)
    )
    ratio, low, high = regained_shares(dense, start, recovered)
    assert np.isfinite(ratio).mean() > 0.99
    assert covered(0.6, low, high) > 0.926


def covered(truth, low, high) -> float:
    known = np.isfinite(low)
    return np.mean((low <= truth)[known] & (truth <= high)[known])
