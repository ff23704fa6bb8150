"""What kind of scores samples have. Light: pages read tasks without computing anything."""

import numpy as np
from numpy.typing import NDArray

STEPS = 60  # halves, thirds, quarters, fifths and sixths of a mark are whole numbers of this part


def is_share(values: NDArray, weights: NDArray) -> bool:
    """Whether each value, both of shape (samples,), is a share of its weight: from none to all."""
    return bool(((values >= 0) & (values <= weights)).all())


def are_marks(values: NDArray, weights: NDArray) -> bool:
    """Whether samples are right or wrong or in between by a few steps, and so many at a time.

    Both have shape (samples,). Chances and likelihoods are no marks.
    """
    steps = STEPS * values
    return is_share(values, weights) and bool((np.abs(steps - np.rint(steps)) < 1e-6).all())
