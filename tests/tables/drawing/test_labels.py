import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from workflow_scripts.tables.drawing.labels import spread

HEIGHTS = st.lists(st.floats(0, 1), max_size=8)


@given(HEIGHTS, st.floats(0.01, 0.3))
def test_labels_keep_their_distance_their_order_and_the_frame(wanted, gap):
    heights = spread(wanted, gap, 0.0, 1.0)
    gap = min(gap, 1 / max(len(wanted) - 1, 1))
    assert all(-1e-9 <= height <= 1 + 1e-9 for height in heights)
    order = sorted(range(len(wanted)), key=lambda place: (-wanted[place], place))
    for upper, lower in zip(order, order[1:], strict=False):
        assert heights[upper] - heights[lower] >= gap - 1e-9


@given(HEIGHTS.filter(bool), st.floats(0.01, 0.1))
def test_no_other_places_are_nearer_to_those_wanted(wanted, gap):
    heights = spread(wanted, gap, 0.0, 1.0)
    order = sorted(range(len(wanted)), key=lambda place: (wanted[place], -place))
    found = minimize(
        lambda x: sum((x[rank] - wanted[place]) ** 2 for rank, place in enumerate(order)),
        [heights[place] for place in order],
        bounds=[(0, 1)] * len(wanted),
        constraints=[
            {"type": "ineq", "fun": lambda x, rank=rank: x[rank + 1] - x[rank] - gap}
            for rank in range(len(wanted) - 1)
        ],
        method="SLSQP",
    )
    moved = sum((height - wish) ** 2 for height, wish in zip(heights, wanted, strict=True))
    assert moved <= found.fun + 1e-6


def test_labels_that_stand_free_are_not_moved():
    assert spread([0.9, 0.1, 0.5], 0.05, 0, 1) == pytest.approx([0.9, 0.1, 0.5])


def test_equal_ends_get_neighbouring_labels_the_first_on_top():
    assert spread([1.0, 0.2, 1.0, 1.0], 0.1, 0, 1) == pytest.approx([1.0, 0.2, 0.9, 0.8])


def test_too_many_labels_share_what_there_is():
    assert spread([0.5, 0.5, 0.5], 0.9, 0, 1) == pytest.approx([1.0, 0.5, 0.0])
