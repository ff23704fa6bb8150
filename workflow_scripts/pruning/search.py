"""Evolutionary search with one parent, as EvoPress does it (arXiv 2410.14649, algorithm 1).

A generation mutates the parent into offspring, which rounds over more and more tokens thin out; the
parent takes part in the last round, and the best there is the next parent. What a generation draws
follows from the seed and its number, so that a search that was killed goes on from the last
generation that it had finished, with the same result.
"""

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import torch

from workflow_scripts.artefacts.rows_done import RowsDone
from workflow_scripts.config.search import Search
from workflow_scripts.jobs.progress import SECONDS_BETWEEN_LINES, tell

State = tuple[int, ...]
# of states, on so many tokens that it draws: lower is better
Measure = Callable[[Sequence[State], int, random.Random], Sequence[float]]

TRIES = 10  # mutations for each of the offspring: small spaces have fewer states than are asked for


def announce(search: Search, blocks: int, available: int) -> None:
    """Say on stderr how much a search will do, with so many tokens to draw from."""
    rounds = search.rounds(available)
    each = " + ".join(f"{count} on {tokens} tokens" for count, tokens in rounds)
    tell(
        f"search: {search.evaluations(blocks, available)} evaluations of pruned models: "
        f"{search.first} on {rounds[0][1]} tokens, then {search.generations_of(blocks)} "
        f"generations of {each}"
    )


def swaps(draw: random.Random) -> int:
    """How many changes a mutation makes: min(U{1,2,3}, U{1,2,3})."""
    return min(draw.randint(1, 3), draw.randint(1, 3))


def evolve(
    search: Search,
    generations: int,
    start: Sequence[State],
    mutated: Callable[[State, random.Random], State],
    measure: Measure,
    done: RowsDone | None = None,
) -> State:
    """The last parent. States are whole numbers, all of one length, those of `start` different.

    The best of `start` on the tokens of the first round is the first parent. Among equals the one
    that comes first wins, the parent before its offspring. `done` is where a search is kept.
    """
    parent = torch.tensor(start[0], dtype=torch.int64)
    found = torch.zeros(1, dtype=torch.float64)
    rows = range(generations + 1)
    if done:
        rows = done.rows("search", {"parent": parent, "found": found}, len(rows))
    progress = _Progress(generations)
    for generation in rows:
        draw = random.Random(f"{search.seed} {generation}")
        if generation:
            before = tuple(parent.tolist())
            best, score = _next_parent(search, before, mutated, measure, draw)
        else:
            best, score = _best(start, 1, search.tokens[0], measure, draw)[0]
        parent.copy_(torch.tensor(best))
        found.fill_(score)
        progress(generation, score)
    return tuple(parent.tolist())


def _next_parent(
    search: Search,
    parent: State,
    mutated: Callable[[State, random.Random], State],
    measure: Measure,
    draw: random.Random,
) -> tuple[State, float]:
    alive = list(_offspring(search.offspring, parent, mutated, draw))
    rounds = list(zip(search.survivors, search.tokens, strict=True))
    for survivors, tokens in rounds[:-1]:
        alive = [state for state, _ in _best(alive, survivors, tokens, measure, draw)]
    return _best([parent, *alive], 1, rounds[-1][1], measure, draw)[0]


def _offspring(
    count: int, parent: State, mutated: Callable[[State, random.Random], State], draw: random.Random
) -> Iterator[State]:
    """Up to `count` states, no two of them equal and none the parent."""
    seen = {parent}
    for _ in range(TRIES * count):
        state = mutated(parent, draw)
        if state not in seen:
            seen.add(state)
            yield state
        if len(seen) > count:
            return


def _best(
    states: Sequence[State], count: int, tokens: int, measure: Measure, draw: random.Random
) -> list[tuple[State, float]]:
    """The `count` states of lowest score with their scores; one that is no number is the worst."""
    scores = [math.inf if math.isnan(one) else one for one in measure(states, tokens, draw)]
    order = sorted(range(len(states)), key=scores.__getitem__)
    return [(states[place], scores[place]) for place in order[:count]]


class _Progress:
    """A line on stderr every ten seconds and at the end."""

    def __init__(self, generations: int) -> None:
        self._generations, self._first = generations, None
        self._start = self._last = time.monotonic()

    def __call__(self, generation: int, score: float) -> None:
        """A generation is done, from 0 on, and `score` is its best state's."""
        now = time.monotonic()
        if self._first is None:
            self._first, self._start, self._last = generation, now, now
        ended = generation == self._generations
        if ended or now - self._last >= SECONDS_BETWEEN_LINES:
            self._last, left = now, ""
            if not ended:
                pace = (now - self._start) / (generation - self._first)
                seconds = round(pace * (self._generations - generation))
                left = f", about {timedelta(seconds=seconds)} left"
            tell(f"generation {generation} of {self._generations}, best {score:.6g}{left}")
