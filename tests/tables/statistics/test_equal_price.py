"""The best of several variants at equal price: by hand, and how much luck is left in it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from workflow_scripts.tables.statistics.equal_price import (
    Curve,
    best_at_equal_price,
    mixtures,
    pareto_front,
)

PROBLEMS = 40


def curve(accuracies, prices, repeats: int = 1, problems: int = PROBLEMS) -> Curve:
    """The first problems are right, as many as an accuracy says; each costs the same."""
    right = np.arange(problems) < np.round(problems * np.array(accuracies))[:, np.newaxis]
    marks = np.repeat(right[..., np.newaxis], repeats, axis=-1).astype(float)
    return Curve(marks, np.repeat(np.array(prices, dtype=float)[:, np.newaxis], problems, axis=1))


def test_accuracies_are_read_from_straight_lines_between_budgets() -> None:
    dense = curve([0.25, 0.5, 0.75], [10, 20, 40])
    half = curve([0.4, 0.6, 0.8], [5, 15, 25])
    first, second, third = best_at_equal_price(dense, [half])
    # 10 is halfway from 5 to 15, 20 from 15 to 25, and 40 is more than anything costs
    assert first.shares.tolist() == [0.5, 0.5, 0] and first.accuracy == pytest.approx(0.5)
    assert second.shares.tolist() == [0, 0.5, 0.5] and second.accuracy == pytest.approx(0.7)
    assert third.shares.tolist() == [0, 0, 1] and third.accuracy == pytest.approx(0.8)
    assert [one.difference for one in (first, second, third)] == pytest.approx([0.25, 0.2, 0.05])
    # one variant is no choice
    assert all(one.chosen == 1 and one.optimism == 0 for one in (first, second, third))


def test_what_is_too_dear_cannot_be_had_but_for_a_trifle() -> None:
    dense = curve([0.25, 0.5], [10, 20])
    assert best_at_equal_price(dense, [curve([0.9, 0.9], [15, 30])])[0] is None
    near = best_at_equal_price(dense, [curve([0.9, 0.9], [10.1, 30])])
    assert near[0].difference == pytest.approx(0.65)


def test_of_several_the_most_accurate_at_the_price_is_taken() -> None:
    dense = curve([0.25, 0.5], [10, 20])
    dear = curve([0.3, 0.95], [10, 60])
    cheap = curve([0.35, 0.7], [5, 10])
    first, second = best_at_equal_price(dense, [dear, cheap])
    assert (first.variant, second.variant) == (1, 1)
    assert second.difference == pytest.approx(0.2) and second.chosen > 0.99


def test_a_clear_difference_is_found_and_none_is_not() -> None:
    dense = curve([0.25, 0.5], [10, 20], repeats=3)
    better, same = (curve([a, a + 0.25], [10, 20], repeats=3) for a in (0.6, 0.25))
    found = best_at_equal_price(dense, [better])
    assert all(one.p < 0.01 and one.low > 0 for one in found)
    for one in best_at_equal_price(dense, [same]):
        assert one.difference == 0 and one.p > 0.5
        assert one.low < 0 < one.high  # that nothing changed says little about other problems


@pytest.mark.parametrize("problems", [1, 2, 3])
@pytest.mark.filterwarnings("error")
def test_a_handful_of_problems_gives_wide_intervals_and_nothing_undefined(problems: int) -> None:
    dense, better = (curve([a, a], [10, 20], problems=problems) for a in (0.0, 1.0))
    for one in best_at_equal_price(dense, [better, better]):
        assert one.difference == 1 and -1 <= one.low < 1 and one.optimism == 0


def test_it_is_the_same_each_time_and_whatever_the_order() -> None:
    random = np.random.default_rng(0)
    curves = [  # with marks of which no two are equal
        Curve(random.random((3, 30, 2)), random.random((3, 30)) + [[1], [2], [3]]) for _ in range(5)
    ]
    first, again = (best_at_equal_price(curves[0], curves[1:]) for _ in range(2))
    turned = best_at_equal_price(curves[0], curves[:0:-1])
    for one, two, other in zip(first, again, turned, strict=True):
        assert (one.p, one.low, one.optimism) == (two.p, two.low, two.optimism)
        assert other.variant == 3 - one.variant and other.difference == one.difference
        assert other.optimism == pytest.approx(one.optimism) and other.p == pytest.approx(one.p)


def test_most_of_the_luck_of_the_best_of_many_is_taken_off_and_intervals_hold_the_truth() -> None:
    """Twenty variants that are as good as the dense model: the best is no better than it."""
    random = np.random.default_rng(1)
    errors, left, holds, false = [], [], [], []
    for _ in range(60):
        easy = random.beta(2, 1.5, size=60)
        marks = (random.random((21, 1, 60, 3)) < easy[:, np.newaxis]).astype(float)
        curves = [Curve(one, np.ones((1, 60))) for one in marks]
        (best,) = best_at_equal_price(curves[0], curves[1:])
        errors.append(best.difference)
        left.append(best.difference - best.optimism)
        holds.append(best.low <= 0 <= best.high)
        false.append(best.p < 0.05)
    assert np.mean(errors) > 0.04  # what would be believed without
    assert abs(np.mean(left)) < 0.4 * np.mean(errors)
    assert np.mean(holds) >= 0.88 and np.mean(false) <= 0.12


prices = st.integers(1, 5).flatmap(
    lambda budgets: arrays(float, (4, budgets), elements=st.floats(1, 100, width=16))
)


@given(prices, arrays(float, (4, 3), elements=st.floats(1, 120, width=16)))
def test_mixtures_cost_what_they_may(prices, caps) -> None:
    shares = mixtures(prices, caps)
    assert shares.shape == (4, 3, prices.shape[1])
    dear = np.isnan(shares).any(axis=-1)
    assert np.array_equal(dear, caps * 1.02 < prices.min(axis=-1, keepdims=True))
    assert np.allclose(shares.sum(axis=-1)[~dear], 1) and not (shares < 0).any()
    cost = np.einsum("vck,vk->vc", shares, prices)
    inside = (caps >= prices.min(axis=-1, keepdims=True)) & (caps <= prices.max(-1, keepdims=True))
    assert np.allclose(cost[inside], caps[inside])


@given(arrays(float, (6, 2), elements=st.integers(0, 4).map(float)))
def test_the_front_is_what_nothing_beats(points) -> None:
    costs, accuracies = points.T
    on_front = pareto_front(costs, accuracies)
    for place in range(6):
        beaten = (costs <= costs[place]) & (accuracies >= accuracies[place])
        beaten &= (costs < costs[place]) | (accuracies > accuracies[place])
        assert on_front[place] == (not beaten.any())
