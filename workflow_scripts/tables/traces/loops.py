"""Loops of a text: the same characters over and over, found for every period.

A loop is a maximal run: a part of the text that repeats with a period, at least `TIMES` times over,
and that no further character on either side goes on with. However short its period is, it fills
`FILLED` characters. All of them are found, with their least periods, in O(n log n) for n
characters and a pass over the text for every period that squares are found of.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from workflow_scripts.tables.traces.hashing import Hashed

TIMES = 3
FILLED = 60


@dataclass(frozen=True)
class Loop:
    """A loop from the character `start` up to `end`, which repeats after `period` characters."""

    start: int
    end: int
    period: int

    @property
    def times(self) -> float:
        """How many times over it is there, the last time maybe in part."""
        return (self.end - self.start) / self.period

    @property
    def complete(self) -> int:
        """The character that it is a loop from: a text that is cut before has none yet."""
        return self.start + max(TIMES * self.period, FILLED)

    def until(self, place: int) -> "Loop | None":
        """What a text that is cut at a place leaves of it: a loop, or none."""
        if place < self.complete:
            return None
        return Loop(self.start, min(self.end, place), self.period)


def loops_of(text: Hashed, filled: int = FILLED) -> list[Loop]:
    """Every loop of a text, by their periods and then by where they start.

    In a loop with period p and length l the same characters stand p apart from its start up to
    l - p, which is at least 2 p. So of places that are at most that far apart, less the length of a
    few characters that are compared there, one is in it. Those few have equal hashes p on, and so
    have all p characters from that place on, or before it.
    """
    few, length = filled // TIMES, len(text)
    grams = text.every(few)
    places, others, needed = _anchors(1 << max(length, 1).bit_length(), filled)
    count = np.searchsorted(needed, length, side="right")
    places, others = places[:count], others[:count]
    same = np.flatnonzero(np.take(grams, places) == np.take(grams, others))
    places, periods = places[same], others[same] - places[same]
    square = _squares(text, places, places + periods, periods)
    square |= _squares(text, places - periods, places, periods)
    places, periods = places[square], periods[square]
    found: dict[tuple[int, int], Loop] = {}
    while len(periods):
        period = int(periods.min())
        kept = periods != period
        for start, end in _with_period(text.codes, period, filled):
            # one that is there has a smaller period, of which this one is a multiple
            loop = found.setdefault((start, end), Loop(start, end, period))
            inside = (start <= places) & (places + periods < end)
            kept &= ~(inside & (periods % loop.period == 0) & (TIMES * periods <= end - start))
        places, periods = places[kept], periods[kept]
    return list(found.values())


def longest(loops: list[Loop]) -> Loop | None:
    """The loop that fills most characters, the first of equal ones."""
    return max(loops, key=lambda loop: (loop.end - loop.start, -loop.start), default=None)


def _with_period(codes: NDArray, period: int, filled: int) -> list[tuple[int, int]]:
    """Start and end of each maximal run with a period that is long enough."""
    differ = np.flatnonzero(codes[:-period] != codes[period:])
    edges = np.concatenate([[-1], differ, [len(codes) - period]])
    starts, lengths = edges[:-1] + 1, np.diff(edges) - 1 + period
    enough = lengths >= max(TIMES * period, filled)
    return [
        (int(s), int(s + size)) for s, size in zip(starts[enough], lengths[enough], strict=True)
    ]


def _squares(text: Hashed, starts: NDArray, middles: NDArray, periods: NDArray) -> NDArray:
    """Whether as many characters as each period are the same from a start as from a middle on."""
    inside = (starts >= 0) & (middles + periods <= len(text))
    square = np.zeros(len(starts), dtype=bool)
    one, two, size = starts[inside], middles[inside], periods[inside]
    square[inside] = text.parts(one, one + size) == text.parts(two, two + size)
    return square


@cache
def _anchors(capacity: int, filled: int) -> tuple[NDArray, NDArray, NDArray]:
    """Places, those a period further, and the characters that a text needs for each, ascending.

    For every period places so close to each other that one of them is in each loop with it.
    """
    few = filled // TIMES
    every = np.arange(1, capacity // TIMES + 1)
    apart = np.maximum(TIMES * every, filled) - every - few + 1
    counts = np.maximum((capacity - every - few) // apart + 1, 0)
    periods = np.repeat(every, counts)
    numbers = np.arange(len(periods)) - np.repeat(np.cumsum(counts) - counts, counts)
    places = numbers * np.repeat(apart, counts)
    needed = np.maximum(places + periods + few, TIMES * periods)
    order = np.argsort(needed, kind="stable")
    return places[order], (places + periods)[order], needed[order]
