"""Measuring all traces of a run, in one process or in several."""

import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from workflow_scripts.config.diagnosis import Diagnosis
from workflow_scripts.jobs.workers import mapping
from workflow_scripts.tables.content.cells import KEY, NAMES
from workflow_scripts.tables.content.traces import COLUMNS
from workflow_scripts.tables.traces.files import (
    Key,
    Measured,
    Pair,
    Question,
    Row,
    Task,
    count_tokens,
    measure,
)


class Place(NamedTuple):
    """Which traces a task is about."""

    model: str
    variant: str
    benchmark: str


def read_traces(
    results: Path,
    models: Path,
    cells: pd.DataFrame,
    reference: str,
    diagnosis: Diagnosis,
    workers: int = 1,
) -> tuple[pd.DataFrame, list[Pair]]:
    """Measure the trace of every answer in `cells`; `models` is the folder of the models.

    Also the pairs of traces, by rows of the frame, of the first problems that each variant lost
    under the largest budget. Neither depends on the number of `workers`, which are processes.
    Raises `InputError` where a trace is not there that was answered, and where a tokenizer that is
    needed cannot be opened. A file that is not there is listed in `attrs["missing"]`.
    """
    cells = cells.reset_index(drop=True)
    shown = _shown(cells, reference, diagnosis.shown)
    tasks, indexes = {}, {}
    for names, rows in cells.groupby(NAMES, sort=False, observed=True):
        place = Place(*map(str, names))
        tasks[place] = _task(results, place, rows, shown[rows.index], reference, diagnosis)
        indexes[place] = rows.index
    with mapping(workers, measure.__module__) as run:
        found = dict(zip(tasks, run(measure, tasks.values()), strict=True))
        questions = _questions(found, tasks, models)
        counts = dict(zip(questions, run(count_tokens, questions.values()), strict=True))
    frame = cells.rename(columns={"trace_tokens": "tokens", "trace_finish": "finish"})
    parts, pairs = [], []
    for place, one in found.items():
        tokens = counts[place.model, place.benchmark]
        of_trace = {key: tokens[key, at] for key, at in one.departures.items()}
        index = indexes[place]
        departures = np.array([of_trace.get(key, math.nan) for key in one.keys], dtype=float)
        columns = {**one.columns, "departure": departures, "unpaired": one.unpaired}
        parts.append(pd.DataFrame(columns, index))
        pairs += [
            replace(pair, row=int(index[pair.row]), tokens=of_trace.get(one.keys[pair.row]))
            for pair in one.pairs
        ]
    frame = frame.join(pd.concat(parts))
    # what is cut before it departs has not departed
    frame["departure"] = frame["departure"].where(frame["departure"] < frame["budget"])
    frame = frame[COLUMNS].astype({"unpaired": "category"})
    missing = [f"{p.model}/{p.variant}: {p.benchmark}" for p, t in tasks.items()
               if not t.traces.exists()]  # fmt: skip
    frame.attrs = {"missing": missing}
    return frame, pairs


def _shown(cells: pd.DataFrame, reference: str, most: int) -> pd.Series:
    """Which answers are shown beside the reference's: of the first problems that were lost."""
    place = ["model", "benchmark", *KEY]
    dense = cells.loc[cells["variant"] == reference, [*place, "correct"]]
    right = cells[place].merge(dense, "left", place)["correct"].eq(True).to_numpy()
    lost = cells[right & ~cells["correct"].to_numpy(bool)]
    largest = cells.groupby("benchmark", observed=True)["budget"].transform("max")
    lost = lost[lost["budget"] == largest[lost.index]].drop_duplicates([*NAMES, "id"])
    first = lost.groupby(NAMES, observed=True).head(most).index
    return pd.Series(cells.index.isin(first), cells.index)


def _task(
    results: Path,
    place: Place,
    rows: pd.DataFrame,
    shown: pd.Series,
    reference: str,
    diagnosis: Diagnosis,
) -> Task:
    def file(variant: str) -> Path:
        return results / place.model / variant / "traces" / f"{place.benchmark}.jsonl"

    columns = (rows[name].tolist() for name in ("id", "repeat", "budget", "trace_tokens"))
    return Task(
        file(place.variant),
        file(reference),
        [*map(Row._make, zip(*columns, shown.tolist(), strict=True))],
        diagnosis,
        is_reference=place.variant == reference,
    )


def _questions(
    found: dict[Place, Measured], tasks: dict[Place, Task], models: Path
) -> dict[tuple[str, str], Question]:
    """By model and benchmark, the places in the reference's traces that any variant departs at."""
    places: dict[tuple[str, str], dict[Key, set[int]]] = {}
    files = {}
    for place, measured in found.items():
        of_both = places.setdefault((place.model, place.benchmark), {})
        files[place.model, place.benchmark] = tasks[place].reference
        for key, at in measured.departures.items():
            of_both.setdefault(key, set()).add(at)
    return {
        place: Question(
            files[place], models / place[0], {key: sorted(at) for key, at in of_both.items()}
        )
        for place, of_both in places.items()
    }
