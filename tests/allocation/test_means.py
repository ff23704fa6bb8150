import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.allocation.means import scaled, scaled_to_unit, shifted
from workflow_scripts.errors import InputError

SIZES = st.lists(st.integers(1, 10**9), min_size=1, max_size=40)
# as the code has them, and at the edge
AMOUNTS = st.floats(-1.5, 1.5) | st.sampled_from([0.0, 0.2, -0.16, 1.0, 1e-12])
MEANS = st.floats(1e-9, 1) | st.just(0.0)
POSITIVE = st.floats(1e-6, 1) | st.sampled_from([0.05, 0.4, 1.0])


def bisected(moved, sizes: np.ndarray, mean: float, least: float, most: float) -> np.ndarray:
    """The slow way: halve the interval until nothing is left of it."""
    for _ in range(300):
        middle = (least + most) / 2
        if np.average(np.clip(moved(middle), 0, 1), weights=sizes) < mean:
            least = middle
        else:
            most = middle
    return np.clip(moved(most), 0, 1)


@given(st.data(), SIZES, MEANS)
def test_moved_sparsities_have_the_mean_and_keep_the_bounds(
    data: st.DataObject, sizes: list[int], mean: float
) -> None:
    values = np.array(data.draw(st.lists(AMOUNTS, min_size=len(sizes), max_size=len(sizes))))
    weights = np.array(sizes, dtype=float)
    found = shifted(values, weights, mean)
    assert ((found >= 0) & (found <= 1)).all()
    assert abs(np.average(found, weights=weights) - mean) < 1e-12
    expected = bisected(lambda c: values + c, weights, mean, -3, 3)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    inside = (found > 0) & (found < 1)
    moves = (found - values)[inside]
    assert not inside.any() or np.ptp(moves) < 1e-12  # they moved together


@given(st.data(), SIZES, MEANS)
def test_scaled_sparsities_have_the_mean_and_keep_the_bounds(
    data: st.DataObject, sizes: list[int], mean: float
) -> None:
    values = np.array(data.draw(st.lists(POSITIVE, min_size=len(sizes), max_size=len(sizes))))
    weights = np.array(sizes, dtype=float)
    found = scaled(values, weights, mean)
    assert ((found >= 0) & (found <= 1)).all()
    assert abs(np.average(found, weights=weights) - mean) < 1e-12
    expected = bisected(lambda factor: values * factor, weights, mean, 0, 2e6)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    inside = found < 1
    factors = (found / values)[inside]
    assert not inside.any() or np.ptp(factors) <= 1e-12 * factors.max()


def test_without_a_bound_in_the_way_it_is_the_formula() -> None:
    values, weights = np.array([0.0, -0.1, -0.02]), np.array([5.0, 5.0, 5.0])
    expected = values - values.mean() + 0.2
    np.testing.assert_allclose(shifted(values, weights, 0.2), expected, atol=1e-16)
    values = np.array([0.05, 0.4, 0.1])
    expected = values * 0.2 * 15 / (values @ weights)
    np.testing.assert_allclose(scaled(values, weights, 0.2), expected, atol=1e-16)


def test_what_leaves_the_bounds_is_held_and_the_others_give_way() -> None:
    found = shifted(np.array([-0.16, 0.0, 0.0]), np.array([1.0, 1.0, 1.0]), 0.05)
    np.testing.assert_allclose(found, [0, 0.075, 0.075], atol=1e-15)
    found = scaled(np.array([0.1, 0.4, 0.2]), np.array([1.0, 1.0, 2.0]), 0.75)
    np.testing.assert_allclose(found, [0.4, 1, 0.8], atol=1e-15)


def test_equal_ones_get_the_mean_itself() -> None:
    weights = np.array([3.0, 1.0, 7.0])
    for mean in (0.0, 0.1, 0.2, 0.55, 1.0):
        np.testing.assert_allclose(shifted(np.zeros(3), weights, mean), mean, atol=1e-16)
        np.testing.assert_allclose(scaled(np.full(3, 0.4), weights, mean), mean, atol=1e-16)


@pytest.mark.parametrize("mean", [-0.1, 1.1, float("nan")])
def test_a_mean_that_cannot_be(mean: float) -> None:
    for solve in (shifted, scaled):
        with pytest.raises(InputError) as error:
            solve(np.array([0.1, 0.2]), np.array([1.0, 2.0]), mean)
        assert str(error.value) == f"a mean sparsity of {mean} cannot be reached"


def test_to_unit() -> None:
    assert scaled_to_unit(np.array([3.0, 1.0, 2.0])).tolist() == [1, 0, 0.5]
    assert scaled_to_unit(np.array([3.0, 3.0])).tolist() == [0, 0]
