"""Hashes of all parts of a text from one pass over it, so that parts are compared in one step.

Rabin and Karp's polynomial hash modulo 2^64 (IBM J. Res. Dev. 31, 1987), for whole arrays of places
at once. Equal parts have equal hashes; who needs certainty compares what has.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

BASE = 0x9E3779B97F4A7C15  # any large odd number


@dataclass(frozen=True)
class Hashed:
    """A text's code points, shape (characters,), and the hashes of its beginnings, one more."""

    codes: NDArray
    sums: NDArray

    def __len__(self) -> int:
        return len(self.codes)

    def parts(self, starts: ArrayLike, ends: ArrayLike) -> NDArray:
        """The hash of each part from a start up to its end; both of shape (parts,)."""
        # by the power at its start divided out, equal parts are equal wherever they are
        _, inverse = _powers(_capacity(len(self)))
        return (self.sums[ends] - self.sums[starts]) * inverse[starts]

    def every(self, length: int) -> NDArray:
        """The hash of every part of one length, by where it starts."""
        _, inverse = _powers(_capacity(len(self)))
        count = max(len(self) - length + 1, 0)
        return (self.sums[length : length + count] - self.sums[:count]) * inverse[:count]


def code_points(text: str) -> NDArray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def hashed(text: str) -> Hashed:
    codes = code_points(text)
    powers, _ = _powers(_capacity(len(codes)))
    sums = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.cumsum((codes + np.uint64(1)) * powers[: len(codes)], out=sums[1:])
    return Hashed(codes, sums)


def _capacity(length: int) -> int:
    """A power of two above a length: few tables serve all texts."""
    return 1 << max(length, 1).bit_length()


@cache
def _powers(count: int) -> tuple[NDArray, NDArray]:
    """The powers of the base from 0 on, and of its inverse, modulo 2^64."""
    of_base, of_inverse = (
        np.cumprod(np.array([1] + [factor] * count, dtype=np.uint64))
        for factor in (BASE, pow(BASE, -1, 2**64))
    )
    return of_base, of_inverse
