"""Spearman's rank correlation and its interval."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workflow_scripts.tables.statistics.ranks import LEAST, rank_correlation

NUMBERS = st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=LEAST, max_size=12)


@settings(max_examples=30)
@given(NUMBERS)
def test_it_is_scipys_and_does_not_depend_on_units(pairs: list[tuple[int, int]]) -> None:
    one, other = np.array(pairs, dtype=float).T
    found = rank_correlation(one, other)
    if len({*one}) == 1 or len({*other}) == 1:
        assert all(map(math.isnan, found))
        return
    assert found.rho == pytest.approx(stats.spearmanr(one, other).statistic)
    assert -1 <= found.low <= found.high <= 1
    assert rank_correlation(np.exp(one), other**3) == pytest.approx(found)
    turned = rank_correlation(one, -other)
    assert turned == pytest.approx((-found.rho, -found.high, -found.low), abs=1e-9)


def test_a_few_by_hand() -> None:
    found = rank_correlation([1, 2, 3, 4, 5], [0.1, 0.4, 0.2, 0.9, 3.0])
    assert found.rho == pytest.approx(1 - 6 * 2 / (5 * 24))  # two neighbours change places
    assert found.low < found.rho <= found.high
    assert all(map(math.isnan, rank_correlation([1, 2, 3], [1, 2, 3])))


@pytest.mark.parametrize("variants", [4, 12])
def test_a_perfect_order_of_a_few_is_no_certainty(variants: int) -> None:
    order = np.arange(variants)
    found = rank_correlation(order, order)
    swapped = rank_correlation(order, [1, 0, *order[2:]])
    assert (found.rho, found.high) == (1, 1)
    assert found.low == pytest.approx(swapped.low)


@pytest.mark.parametrize("variants", [4, 6, 12, 28])
@pytest.mark.parametrize("r", [0.0, 0.3, 0.9])
def test_its_interval_holds_the_truth_about_as_often_as_it_says(variants: int, r: float) -> None:
    """Of bivariate normal numbers, whose true ρ is known; 500 experiments."""
    truth = 6 / math.pi * math.asin(r / 2)
    one, noise = np.random.default_rng(1).standard_normal((2, 500, variants))
    pairs = zip(one, r * one + math.sqrt(1 - r**2) * noise, strict=True)
    found = [rank_correlation(*pair) for pair in pairs]
    assert np.mean([low <= truth <= high for _, low, high in found]) >= 0.92
