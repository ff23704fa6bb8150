"""The area under the curve of accuracy against budget: test-time scaling as one number."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import trapezoid


def budget_weights(budgets: Sequence[int]) -> NDArray:
    """What each budget counts, of ascending budgets; the weights add up to 1.

    The trapezoidal rule over the logarithm of the budget, over the range: each doubling counts
    the same wherever it is, as each is as far from the next in a figure of doubling budgets. The
    area is then a mean accuracy, and is the accuracy itself where there is one budget.
    """
    if len(budgets) == 1:
        return np.ones(1)
    places = np.log2(np.asarray(budgets, dtype=float))
    return trapezoid(np.eye(len(budgets)), places, axis=1) / (places[-1] - places[0])


def answer_areas(correct: Sequence[NDArray], budgets: Sequence[int]) -> NDArray:
    """The area of each repeat of each problem, shape (problems, repeats).

    `correct` holds an array of that shape for each budget.
    """
    return np.tensordot(budget_weights(budgets), np.stack(correct), axes=1)
