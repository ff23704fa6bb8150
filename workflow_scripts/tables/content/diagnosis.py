"""What traces look like where accuracy falls: a row for every cell, and accuracy by how long traces
are and by how hard problems are.

Endings, loops, compression, distinct n-grams and reflection words are those of all traces of a
cell. Beside the reference: after how many tokens traces depart from its traces, what is lost and
won, and how the traces of lost answers ended. `docs/diagnosis.md` has the definitions.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_scripts.tables.content.cells import MARK, NAMES, marks_of
from workflow_scripts.tables.content.columns import as_frame
from workflow_scripts.tables.content.diagnosis_text import DIFFICULTIES, sections
from workflow_scripts.tables.content.formats import Built
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.content.traces import MEASURES
from workflow_scripts.tables.statistics.intervals import estimate_accuracy
from workflow_scripts.tables.statistics.scores import change, estimate_scores

# bounds between the parts of the reference's traces by their length
QUARTERS = (0.25, 0.5, 0.75)
# of the reference's other repeats that are right: a problem is hard below the first and easy above
# the second
THIRDS, ROUNDING = (1 / 3, 2 / 3), 1e-9

Row = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """The traces and answers of one model, variant, benchmark and budget.

    `columns` of shape (problems, repeats), problems by their ids: those of `content.traces`,
    whether an answer is `correct` and its `mark`.
    """

    model: str
    variant: str
    benchmark: str
    budget: int
    columns: Mapping[str, NDArray]

    def __getitem__(self, name: str) -> NDArray:
        return self.columns[name]

    @property
    def place(self) -> Row:
        return {name: getattr(self, name) for name in (*NAMES, "budget")}


Cells = Mapping[tuple[str, str, str, int], Cell]


def build(source: Source) -> Built:
    answers, reference = source.cells(), source.reference
    cells = {
        (cell.model, cell.variant, cell.benchmark, cell.budget): cell
        for cell in cells_of(answers, source.traces())
    }
    frames = {
        "diagnosis": as_frame(
            "diagnosis", (_row(cell, cells, reference) for cell in cells.values())
        ),
        "diagnosis_lengths": as_frame("diagnosis_lengths", by_length(cells, reference)),
        "diagnosis_difficulty": as_frame("diagnosis_difficulty", by_difficulty(cells, reference)),
    }
    shown = sections(*frames.values(), reference, answers.attrs["missing"])
    return Built("Diagnosis", frames, list(shown))


def cells_of(answers: pd.DataFrame, traces: pd.DataFrame) -> Iterator[Cell]:
    """The cells in the order of the rows, which are the same in both."""
    columns = {name: traces[name].to_numpy() for name in (*MEASURES, "tokens", "departure")}
    columns |= {name: traces[name].astype(str).to_numpy() for name in ("finish", "unpaired")}
    columns |= {
        "correct": answers["correct"].to_numpy(bool),
        MARK: marks_of(answers).to_numpy(float),
    }
    repeats, start = answers["repeat"].to_numpy(), 0
    sizes = answers.groupby([*NAMES, "budget"], sort=False, observed=True).size()
    for (*names, budget), size in sizes.items():
        rows = slice(start, start + size)
        shape, start = (-1, len(set(repeats[rows]))), start + size
        of_cell = {name: column[rows].reshape(shape) for name, column in columns.items()}
        yield Cell(*map(str, names), int(budget), of_cell)


def _row(cell: Cell, cells: Cells, reference: str) -> Row:
    problems, repeats = cell["correct"].shape
    dense = _reference_of(cell, cells, reference)
    return {
        **cell.place,
        "problems": problems,
        "repeats": repeats,
        **of_traces(cell),
        **of_departures(cell),
        **(of_outcomes(cell, dense) if dense is not None else {"lost": math.nan}),
    }


def _reference_of(cell: Cell, cells: Cells, reference: str) -> Cell | None:
    """The reference's answers to the same, unless it is this cell."""
    if cell.variant == reference:
        return None
    return cells.get((cell.model, reference, cell.benchmark, cell.budget))


def of_traces(cell: Cell) -> Row:
    """How traces end, go in circles and differ; means over all of a cell."""
    loops = ~np.isnan(cell["loop_period"])
    measured = ~np.isnan(cell["characters"])
    tokens = cell["tokens"][measured].sum()
    row = {
        "ended": (cell["finish"] == "stop").mean(),
        "inside": (cell["finish"] == "eos").mean(),
        **_share("cut", cell["finish"] == "length"),
        "loop_period": _median(cell["loop_period"][loops]),
        "loop_times": _median(cell["loop_times"][loops]),
        "compression": _mean(cell["compression"]),
        "distinct": _mean(cell["distinct"]),
        "reflections": 1000 * cell["reflections"][measured].sum() / tokens if tokens else math.nan,
    }
    if measured.all():
        looping = cell["looping"] == 1
        row |= {
            **_share("loops", loops),
            "looping": looping.mean(),
            "cut_looping": (looping & (cell["finish"] == "length")).mean(),
        }
    return row


def of_departures(cell: Cell) -> Row:
    """After how many tokens traces depart from the reference's; one that does not does so last."""
    paired = cell["unpaired"] == ""
    row: Row = {"unpaired": "; ".join(dict.fromkeys(cell["unpaired"][~paired].tolist()))}
    if not paired.any():
        return row
    departures = cell["departure"][paired]
    quartiles = np.quantile(
        np.nan_to_num(departures, nan=math.inf), QUARTERS, method="inverted_cdf"
    )
    names = ("departure_q1", "departure_median", "departure_q3")
    finite = np.where(np.isinf(quartiles), math.nan, quartiles)
    return row | dict(zip(names, finite, strict=True)) | {"together": np.isnan(departures).mean()}


def of_outcomes(cell: Cell, dense: Cell) -> Row:
    """What is lost and won of all answers, and how the traces of the lost ones ended."""
    lost = dense["correct"] & ~cell["correct"]
    looping = cell["looping"] == 1
    ways = {
        "lost_looping": looping,
        "lost_cut": ~looping & (cell["finish"] == "length"),
        "lost_inside": ~looping & (cell["finish"] == "eos"),
        "lost_ended": ~looping & (cell["finish"] == "stop"),
    }
    row = {**_share("lost", lost), **_share("won", ~dense["correct"] & cell["correct"])}
    if np.isnan(cell["looping"]).any():  # there are no traces
        return row
    return row | {name: (lost & holds).mean() for name, holds in ways.items()}


def by_length(cells: Cells, reference: str) -> Iterator[Row]:
    """Accuracy of the answers whose traces are as long as each fourth of the reference's.

    Where that is not run, of all variants'.
    """
    alike: dict[tuple[str, str, int], list[Cell]] = {}
    for cell in cells.values():
        alike.setdefault((cell.model, cell.benchmark, cell.budget), []).append(cell)
    bounds_of = {}
    for place, some in alike.items():
        lengths = [cell["tokens"].ravel() for cell in some if cell.variant == reference]
        lengths = np.concatenate(lengths or [cell["tokens"].ravel() for cell in some])
        bounds = np.quantile(lengths, QUARTERS, method="inverted_cdf")
        bounds_of[place] = np.unique(bounds).astype(int)
    for cell in cells.values():
        bounds = bounds_of[cell.model, cell.benchmark, cell.budget]
        parts = np.searchsorted(bounds, cell["tokens"], side="left")
        shortest, longest = [0, *(bounds + 1).tolist()], [*bounds.tolist(), cell.budget]
        for part, (low, high) in enumerate(zip(shortest, longest, strict=True)):
            inside = parts == part
            if inside.any():
                accuracy = _accuracy_within(cell[MARK], inside)
                yield {
                    **cell.place, "bin": part + 1, "shortest": low, "longest": high, **accuracy,
                }  # fmt: skip


def by_difficulty(cells: Cells, reference: str) -> Iterator[Row]:
    """Accuracy and difference to the reference by how hard problems are for that.

    How hard a problem is in one repeat the reference's other repeats tell. Those that are compared
    have no part in it: luck would otherwise make problems look easy, and be gone in the variant.
    """
    for cell in cells.values():
        dense = cells.get((cell.model, reference, cell.benchmark, cell.budget))
        if dense is None or dense[MARK].shape[1] < 2:
            continue
        marks = dense[MARK]
        others = (marks.sum(axis=1, keepdims=True) - marks) / (marks.shape[1] - 1)
        ease = (others > THIRDS[0] - ROUNDING).astype(int) + (others > THIRDS[1] + ROUNDING)
        for number, name in enumerate(DIFFICULTIES):
            inside = ease == number
            if not inside.any():
                continue
            row = {**cell.place, "difficulty": name, **_accuracy_within(cell[MARK], inside)}
            row["reference_accuracy"] = marks[inside].mean()
            if cell.variant != reference:
                row |= _difference_within(cell[MARK] - marks, inside)
            yield row


def _accuracy_within(marks: NDArray, inside: NDArray) -> Row:
    """The accuracy of some answers, which need not be as many of each problem."""
    values, weights = (marks * inside).sum(axis=1), inside.sum(axis=1)
    some = weights > 0
    found = estimate_scores("mean", values[some], weights[some].astype(float))
    return {
        "problems": int(some.sum()), "answers": int(weights.sum()), "accuracy": found.value,
        "ci_low": found.low, "ci_high": found.high,
    }  # fmt: skip


def _difference_within(changes: NDArray, inside: NDArray) -> Row:
    """The mean change of some answers, with the interval of a difference."""
    values, weights = (changes * inside).sum(axis=1), inside.sum(axis=1)
    some = weights > 0
    found = change("mean", values[some, np.newaxis], weights[some].astype(float), of_marks=True)
    return {
        "difference": found.difference,
        "difference_low": found.low,
        "difference_high": found.high,
    }


def _share(name: str, holds: NDArray) -> Row:
    """How many answers something holds of, with its interval; of shape (problems, repeats)."""
    found = estimate_accuracy(holds)
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def _median(values: NDArray) -> float:
    return float(np.median(values)) if values.size else math.nan


def _mean(values: NDArray) -> float:
    """Of those that are there; NaN without any."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if there.size else math.nan
