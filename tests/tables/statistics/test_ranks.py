"""Spearman's rank correlation and its interval."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workflow_scripts.tables.statistics import ranks
from workflow_scripts.tables.statistics.ranks import rank_correlation

NUMBERS = st.lists(
    st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=ranks.LEAST, max_size=12
)


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
    assert found == rank_correlation([1, 2, 3, 4, 5], [0.1, 0.4, 0.2, 0.9, 3.0]), "seeded"
    assert all(map(math.isnan, rank_correlation([1, 2, 3], [1, 2, 3])))


def test_the_interval_is_that_of_resampling_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "RESAMPLES", 200)
    one, other = [3, 1, 4, 1, 5, 9, 2], [2, 7, 1, 8, 2, 8, 1]
    draws = np.random.default_rng(ranks.SEED).integers(7, size=(200, 7))
    found = []
    for draw in draws:
        a, b = np.take(one, draw), np.take(other, draw)
        if len({*a}) > 1 and len({*b}) > 1:
            found.append(stats.spearmanr(a, b).statistic)
    low, high = np.quantile(found, [0.025, 0.975])
    assert rank_correlation(one, other)[1:] == pytest.approx((low, high))


def test_its_interval_holds_the_truth_about_as_often_as_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of bivariate normal numbers, whose true ρ is known; 25 variants, 300 experiments."""
    monkeypatch.setattr(ranks, "RESAMPLES", 400)
    r, held = 0.6, 0
    truth = 6 / math.pi * math.asin(r / 2)
    chance = np.random.default_rng(1)
    for _ in range(300):
        one, noise = chance.standard_normal((2, 25))
        found = rank_correlation(one, r * one + math.sqrt(1 - r**2) * noise)
        held += found.low <= truth <= found.high
    assert 0.88 <= held / 300 <= 0.98
