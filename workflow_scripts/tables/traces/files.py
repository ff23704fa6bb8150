"""Measuring the traces of one file, beside those of the reference: what one process does."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workflow_scripts.artefacts.records import Trace, read_records
from workflow_scripts.config.diagnosis import Diagnosis
from workflow_scripts.errors import InputError
from workflow_scripts.tables.content.traces import (
    IS_REFERENCE,
    MEASURES,
    NO_REFERENCE,
    NO_TRACES,
    OTHER_SEED,
)
from workflow_scripts.tables.traces.hashing import Hashed, code_points, hashed
from workflow_scripts.tables.traces.loops import longest, loops_of
from workflow_scripts.tables.traces.measures import (
    compressions,
    departure,
    distinct,
    grams,
    place_of,
    word_places,
)

# problem, repeat and, where every budget has traces of its own, budget
Key = tuple[str, int, int | None]


class Row(NamedTuple):
    """An answer of a variant: its problem, its repeat, its budget, how many tokens its trace has
    under that, and whether the trace is wanted beside the reference's."""

    id: str
    repeat: int
    budget: int
    tokens: int
    is_shown: bool


@dataclass(frozen=True)
class Task:
    """The answers of one variant on one benchmark, and the files of its traces and of those of the
    reference, which need not be there."""

    traces: Path
    reference: Path
    rows: Sequence[Row]
    diagnosis: Diagnosis
    is_reference: bool = False


@dataclass(frozen=True)
class Pair:
    """A trace of the `row`-th answer and the reference's, None where there is none.

    They part at a character `place` and have so many `tokens` before it, or do not part; or cannot
    be held against each other, for a reason.
    """

    row: int
    dense: Trace | None
    trace: Trace
    place: int | None
    unpaired: str
    tokens: int | None = None


@dataclass(frozen=True)
class Measured:
    """What was measured for each row: `columns` of shape (rows,), and why it is `unpaired`.

    `keys` say which trace each row is of, `departures` the character that a trace departs in.
    """

    columns: Mapping[str, NDArray]
    unpaired: list[str]
    keys: list[Key | None]
    departures: dict[Key, int]
    pairs: list[Pair]


@dataclass(frozen=True)
class Question:
    """How many tokens of the reference's traces lie before places in them; by the keys of both."""

    traces: Path
    model: Path
    places: Mapping[Key, Sequence[int]]


def measure(task: Task) -> Measured:
    """Measure all traces of a task. Raises `InputError` where one is not there."""
    columns = {name: np.full(len(task.rows), math.nan) for name in MEASURES}
    if not task.traces.exists():
        nothing = [NO_TRACES] * len(task.rows)
        return Measured(columns, nothing, [None] * len(task.rows), {}, [])
    traces = _by_key(task.traces)
    has_others = not task.is_reference and task.reference.exists()
    others = _by_key(task.reference) if has_others else {}
    keys = [_key_of(row, traces, task.traces) for row in task.rows]
    rows_of: dict[Key, list[int]] = {}
    for number, key in enumerate(keys):
        rows_of.setdefault(key, []).append(number)
    unpaired, departures, pairs = [""] * len(keys), {}, []
    by_problem: dict[str, list[tuple[NDArray, NDArray, list[int]]]] = {}
    for key, numbers in rows_of.items():
        trace = traces[key]
        text = hashed(trace.text)
        numbers.sort(key=lambda number: task.rows[number].budget)
        places = [place_of(len(text), trace.tokens, task.rows[n].tokens) for n in numbers]
        found = _of_text(trace.text, text, places, task.diagnosis)
        for name, values in found.items():
            columns[name][numbers] = values
        n_grams, ends = grams(text, task.diagnosis.ngram)
        counts = np.searchsorted(ends, places, side="right")
        by_problem.setdefault(key[0], []).append((n_grams, counts, numbers))
        other = others.get(key)
        reason = _reason(task, trace, other)
        place = None if reason else _departure(other, trace, text)
        if place is not None:
            departures[key] = place
        for number in numbers:
            unpaired[number] = reason
            if task.rows[number].is_shown:
                pairs.append(Pair(number, other, trace, place, reason))
    for members in by_problem.values():
        for rows, shares in _distinct(members, task.rows):
            columns["distinct"][rows] = shares
    return Measured(columns, unpaired, keys, departures, sorted(pairs, key=lambda pair: pair.row))


def count_tokens(question: Question) -> dict[tuple[Key, int], int]:
    """The tokens before each place of each trace; at most those that the trace was drawn with."""
    # not for the other stages of a run that import this module: it takes seconds
    from workflow_scripts.models.tokenizers import load_tokenizer, tokens_before

    if not question.places:
        return {}
    tokenizer, traces = load_tokenizer(question.model), _by_key(question.traces)
    found = {}
    for key, places in question.places.items():
        trace = traces[key]
        for place, count in zip(places, tokens_before(tokenizer, trace.text, places), strict=True):
            found[key, place] = min(count, trace.tokens)
    return found


def _by_key(path: Path) -> dict[Key, Trace]:
    return {(t.id, t.repeat, t.budget): t for t in read_records(path, Trace)}


def _key_of(row: Row, traces: Mapping[Key, Trace], path: Path) -> Key:
    for key in ((row.id, row.repeat, None), (row.id, row.repeat, row.budget)):
        if key in traces:
            return key
    raise InputError(
        f"{path}: problem {row.id!r}, repeat {row.repeat}, budget {row.budget}: has no trace, and "
        "was answered; generate it again"
    )


def _of_text(
    text: str, of_text: Hashed, places: Sequence[int], diagnosis: Diagnosis
) -> dict[str, Iterable[float]]:
    """What is measured of a text up to each of some ascending places."""
    words = [word for words in diagnosis.reflection_words.values() for word in words]
    loops = loops_of(of_text)
    left = [[cut for loop in loops if (cut := loop.until(place))] for place in places]
    most = [longest(some) for some in left]
    return {
        "characters": places,
        "compression": compressions(text, places),
        "reflections": (
            np.searchsorted(word_places(text, words), places, side="right") if words else math.nan
        ),
        "loop_period": [loop.period if loop else math.nan for loop in most],
        "loop_times": [loop.times if loop else math.nan for loop in most],
        "looping": [
            any(loop.end == place for loop in some)
            for some, place in zip(left, places, strict=True)
        ],
    }


def _distinct(
    members: Sequence[tuple[NDArray, NDArray, list[int]]], rows: Sequence[Row]
) -> Iterator[tuple[list[int], NDArray]]:
    """Rows of one problem, and the share of distinct n-grams among those of all its repeats.

    Of each trace its n-grams, how many of them its rows have, and the rows, by their budgets. Where
    every budget has traces of its own, so has it repeats.
    """
    alike: dict[tuple[int, ...], list[tuple[NDArray, NDArray, list[int]]]] = {}
    for member in members:
        alike.setdefault(tuple(rows[number].budget for number in member[2]), []).append(member)
    for some in alike.values():
        shares = distinct([grams for grams, _, _ in some], np.array([n for _, n, _ in some]).T)
        for _, _, numbers in some:
            yield numbers, shares


def _reason(task: Task, trace: Trace, other: Trace | None) -> str:
    """Why a trace has nothing to depart from; empty where it has."""
    if task.is_reference:
        return IS_REFERENCE
    if other is None:
        return NO_REFERENCE
    return "" if other.seed == trace.seed else OTHER_SEED


def _departure(dense: Trace, trace: Trace, text: Hashed) -> int | None:
    """The character in which a trace departs; its end where only one of both ends there."""
    place = departure(code_points(dense.text), text.codes)
    if place is None and dense.finish != trace.finish:
        return len(text)
    return place
