"""What tokens of a dynamic variant ran: shares of one trace or answer, and counts over many."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workflow_scripts.artefacts.routes import Place, Ran, RouteRecord
from workflow_scripts.engines.interface import Completion, Request
from workflow_scripts.generation.sweep import UNKNOWN, Routes, Sample, Sweep, routes_of
from workflow_scripts.models.routing import PARTS
from workflow_scripts.models.token_kinds import TOKEN_KINDS

MAX_PLACES = 64  # parts of the largest budget that are told apart


def shares(routes: Routes | None, tokens: int | None = None) -> dict[str, float] | None:
    """The part of all pairs of a token and a block that ran, by sublayer, of all tokens or the
    first so many; None where nothing is known.
    """
    if routes is None:
        return None
    known = routes[:tokens]
    known = known[known[:, 0] != UNKNOWN]
    if not len(known):
        return None
    return {part: float(known[:, i :: len(PARTS)].mean()) for i, part in enumerate(PARTS)}


class Counts:
    """How many tokens ran each sublayer, in numbered groups of tokens."""

    def __init__(self, groups: int, sublayers: int) -> None:
        self._tokens = np.zeros(groups, dtype=np.int64)
        self._ran = np.zeros((groups, sublayers), dtype=np.int64)

    def add(self, routes: Routes, groups: NDArray) -> None:
        """Count tokens of which it is known what they ran, each in its group."""
        known = routes[:, 0] != UNKNOWN
        np.add.at(self._tokens, groups[known], 1)
        np.add.at(self._ran, groups[known], routes[known])

    def of(self, group: int) -> dict[str, Any]:
        """What a `Ran` holds of a group."""
        ran = {part: self._ran[group, i :: len(PARTS)].tolist() for i, part in enumerate(PARTS)}
        return {"tokens": int(self._tokens[group]), **ran}


class RouteCounter:
    """Counts what ran in the traces and answers of one benchmark.

    `kinds` holds the kind of every id, `largest` is the largest budget, in tokens.
    """

    def __init__(self, kinds: NDArray[np.uint8], blocks: int, largest: int) -> None:
        self._kinds, self._blocks, self._largest = kinds, blocks, largest
        self._width = -(-largest // MAX_PLACES)
        sublayers = len(PARTS) * blocks
        self._whole = Counts(2, sublayers)  # traces, answers
        self._places = Counts(-(-largest // self._width), sublayers)
        self._of_kinds = Counts(len(TOKEN_KINDS), sublayers)

    def add_trace(self, tokens: Sequence[int], routes: Routes | None) -> None:
        if routes is None:
            return
        self._whole.add(routes, np.zeros(len(tokens), dtype=int))
        self._places.add(routes, np.arange(len(tokens)) // self._width)
        self._of_kinds.add(routes, self._kinds[list(tokens)])

    def add_answer(self, routes: Routes | None) -> None:
        if routes is not None:
            self._whole.add(routes, np.ones(len(routes), dtype=int))

    def record(self, digest: str) -> RouteRecord:
        """What was counted of the variant with that digest; kinds and places with tokens alone."""
        places = [
            Place(first=first, end=min(first + self._width, self._largest), **found)
            for number, first in enumerate(range(0, self._largest, self._width))
            if (found := self._places.of(number))["tokens"]
        ]
        kinds = {
            kind: Ran(**found)
            for number, kind in enumerate(TOKEN_KINDS)
            if (found := self._of_kinds.of(number))["tokens"]
        }
        return RouteRecord(
            digest=digest,
            blocks=self._blocks,
            traces=Ran(**self._whole.of(0)),
            answers=Ran(**self._whole.of(1)),
            places=tuple(places),
            kinds=kinds,
        )


def count_routes(
    samples: Iterable[Sample],
    sweep: Sweep,
    get: Callable[[Request], Completion],
    counter: RouteCounter,
) -> None:
    """Count what ran in the traces and answers of a benchmark; an answer of several budgets once.

    `get` gives every completion that a finished sweep has led to.
    """
    for sample in samples:
        for trace in sweep.traces(sample, get):
            counter.add_trace(trace.completion.tokens, trace.routes)
            for cut in dict.fromkeys(sweep.cuts(trace).values()):
                counter.add_answer(routes_of(get(sweep.answer_request(sample, trace, cut))))
