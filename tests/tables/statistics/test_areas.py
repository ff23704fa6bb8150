import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from workflow_scripts.tables.statistics.areas import answer_areas, budget_weights

BUDGETS = st.lists(st.integers(1, 10000), min_size=2, max_size=7, unique=True).map(sorted)


@given(BUDGETS, st.data())
def test_the_area_is_the_trapezoids_over_the_logarithm(budgets, data):
    accuracy = data.draw(st.lists(st.floats(0, 1), min_size=len(budgets), max_size=len(budgets)))
    places = np.log(budgets)
    expected = trapezoid(accuracy, places) / (places[-1] - places[0])
    assert budget_weights(budgets) @ np.array(accuracy) == pytest.approx(expected)
    assert budget_weights(budgets).sum() == pytest.approx(1)


def test_each_doubling_counts_the_same():
    assert budget_weights([512, 1024, 2048]) == pytest.approx([0.25, 0.5, 0.25])


def test_one_budget_is_its_accuracy():
    answers = np.array([[1, 0, 0], [1, 1, 1]])
    assert answer_areas([answers], [6]).tolist() == answers.tolist()


def test_a_problems_area_is_of_its_own_answers():
    small, large = np.array([[0, 0], [1, 1]]), np.array([[1, 0], [1, 1]])
    assert answer_areas([small, large], [6, 12]).tolist() == [[0.5, 0], [1, 1]]
