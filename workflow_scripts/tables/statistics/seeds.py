"""The paper's statistic: the mean over seeds and its population standard deviation."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def mean_and_sd(accuracies: ArrayLike) -> tuple[float, float]:
    """Mean and population standard deviation (ddof 0) of the accuracies of single runs.

    That the paper's deviations are of this form follows from its tables: 0.0157 on 30 problems is
    that of two equal runs and one that is a single problem away.
    """
    runs = np.asarray(accuracies, dtype=float)
    return float(runs.mean()), float(runs.std(ddof=0))


def sampling_error(correct: NDArray) -> float:
    """The standard error of an accuracy on these very problems, from the spread between repeats.

    `correct` has shape (problems, repeats). It leaves out that other problems would give another
    accuracy, as it must where two runs on the same problems are compared. NaN for one repeat.
    """
    problems, repeats = np.shape(correct)
    if repeats == 1:
        return math.nan
    within = np.asarray(correct, dtype=float).var(axis=-1, ddof=1)
    return float(math.sqrt(within.sum() / repeats) / problems)
