"""The graded answers of a run as one table, which every other table is made from.

A row for every answer, with the columns `COLUMNS`: a cell is the answers of one model, variant,
benchmark and budget. `attrs` of the frame say what the run is to hold (`models`, `variants`,
`benchmarks`, and `budgets`, which is empty where that is whatever is there) and what of it is
`missing`: `model/variant: benchmark`, and what is wrong with a file that is there in brackets.
On disk it is a Parquet file; readers without these attributes can do without them. Where some
answers got part marks there is one column more, `mark`: the part of full marks that each got. Where
tokens of some variants skip sublayers there are the columns `RAN` as well.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_scripts.artefacts.records import Answer, Grade, read_records
from workflow_scripts.errors import InputError
from workflow_scripts.models.routing import PARTS
from workflow_scripts.tables.content.gathered import load_gathered, write_gathered
from workflow_scripts.tables.content.screened_out import dropped

NAMES = ["model", "variant", "benchmark"]
MARK = "mark"
KEY = ["budget", "id", "repeat"]
_GRADED = ["correct", "extracted", MARK]
_SPENT, _ENDS = ["trace_tokens", "answer_tokens"], ["trace_finish", "answer_finish"]
COLUMNS = [*NAMES, *KEY, "correct", "extracted", *_SPENT, *_ENDS]
# the part of all pairs of a token and a block that ran, of the trace as the budget cuts it and of
# the answer; NaN where nothing is known
_RAN = {
    f"{of}_ran_{part}": (field, part)
    for of, field in (("trace", "trace_ran"), ("answer", "ran"))
    for part in PARTS
}
RAN = [*_RAN]
FILE = "cells.parquet"


@dataclass(frozen=True)
class Cell:
    """The answers under one budget.

    `correct` has shape (problems, repeats), problems by their ids; so has `extracted`, what was
    taken from the answers as text or None, and `marks`, the part of full marks that each got: 0 or
    1, as `correct` is, but where there are part marks. The token counts are means over the answers.
    """

    model: str
    variant: str
    benchmark: str
    budget: int
    correct: NDArray
    marks: NDArray
    extracted: NDArray
    trace_tokens: float
    answer_tokens: float


def cells_of(frame: pd.DataFrame) -> Iterator[Cell]:
    """The cells, in the order of the run's lists (benchmarks fastest) and then by budget.

    The answers of a cell follow each other, as `read_cells` lays them.
    """
    extracted = frame["extracted"].astype(object)
    extracted = extracted.where(extracted.notna(), None).to_numpy()
    correct, spent = frame["correct"].to_numpy(int), frame[_SPENT].to_numpy()
    marks = marks_of(frame).to_numpy(float)
    repeats, start = frame["repeat"].to_numpy(), 0
    for (*names, budget), size in frame.groupby([*NAMES, "budget"], sort=False).size().items():
        rows = slice(start, start + size)
        shape, start = (-1, len(set(repeats[rows]))), start + size
        yield Cell(
            *names,
            int(budget),
            correct[rows].reshape(shape),
            marks[rows].reshape(shape),
            extracted[rows].reshape(shape),
            *spent[rows].mean(axis=0).tolist(),
        )


def marks_of(frame: pd.DataFrame) -> pd.Series:
    """The part of full marks that each answer got: 0 or 1 where there are no part marks."""
    return frame[MARK] if MARK in frame else frame["correct"]


def read_cells(
    results: Path,
    models: Sequence[str],
    variants: Sequence[str],
    benchmarks: Sequence[str],
    budgets: Sequence[int] = (),
    repeats: int | None = None,
    drops: bool = False,
) -> pd.DataFrame:
    """Gather all grades and answers.

    A benchmark that a variant has no grades of is missing. Where a run's `budgets` and number of
    `repeats` are given, so are a file's budgets that are not there, and a file with other repeats:
    it is from before the config was changed. Its other budgets are left out, and so is, in a run
    that `drops` variants, what is there of those that were screened out. Raises `InputError` naming
    file, problem, repeat and budget where a grade or an answer is missing or is there twice, where
    two files of one benchmark are not about the same problems and repeats, and where there are no
    grades at all.
    """
    found, missing = [], []
    first: dict[str, pd.DataFrame] = {}
    out = dropped(results, models, drops)
    for model, variant, benchmark in product(models, variants, benchmarks):
        if (model, variant) in out:
            continue
        name = f"{model}/{variant}: {benchmark}"
        if not (results / model / variant / "grades" / f"{benchmark}.jsonl").exists():
            missing.append(name)
            continue
        rows = _read_file(results / model / variant, benchmark)
        rows = rows.assign(model=model, variant=variant, benchmark=benchmark)
        has = sorted(rows["repeat"].unique())
        if repeats is not None and has != list(range(repeats)):
            missing.append(f"{name} (has repeats {_list(has)})")
            continue
        _check_same(first.setdefault(benchmark, rows), rows)
        lacking = sorted(set(budgets) - set(rows["budget"]))
        if lacking:
            missing.append(f"{name} (budgets {_list(lacking)})")
        found.append(rows[rows["budget"].isin(budgets)] if budgets else rows)
    if not sum(map(len, found)):
        raise InputError(f"{results}: holds no grades of {', '.join(missing)}")
    together = pd.concat(found, ignore_index=True)
    part_marks = (together[MARK] != together["correct"]).any()
    skips = together[RAN].notna().any(axis=None)
    columns = [*COLUMNS, *([MARK] if part_marks else []), *(RAN if skips else [])]
    cells = together[columns].astype(dict.fromkeys([*NAMES, *_ENDS], "category"))
    cells.attrs = {
        "models": list(models), "variants": list(variants), "benchmarks": list(benchmarks),
        "budgets": sorted(budgets), "missing": missing,
    }  # fmt: skip
    return cells


def _read_file(folder: Path, benchmark: str) -> pd.DataFrame:
    paths = {name: folder / name / f"{benchmark}.jsonl" for name in ("grades", "answers")}
    grades = _by_key(paths["grades"], Grade, {name: attrgetter(name) for name in _GRADED})
    of_answers = {name: attrgetter(name) for name in (*_SPENT, *_ENDS)}
    of_answers |= {name: _ran(*place) for name, place in _RAN.items()}
    answers = _by_key(paths["answers"], Answer, of_answers)
    if grades.empty:
        raise InputError(f"{paths['grades']}: holds no grades")
    whole = pd.MultiIndex.from_product([sorted(set(grades.index.get_level_values(k))) for k in KEY])
    for path, index, wanted in (
        (paths["grades"], grades.index, whole),
        (paths["answers"], answers.index, whole),
        (paths["grades"], grades.index, answers.index),
    ):
        lacking = wanted[~wanted.isin(index)]
        if len(lacking):
            kind = path.parent.name.removesuffix("s")
            raise InputError(f"{path}: {_place(lacking[0])}: has no {kind}")
    joined = grades.join(answers).reindex(whole.set_names(KEY))
    return joined.reset_index()


def _ran(field: str, part: str) -> Callable[[Answer], float]:
    """What says how much of a kind of sublayer ran."""

    def share(answer: Answer) -> float:
        ran = getattr(answer, field)
        return np.nan if ran is None else ran[part]

    return share


def _by_key(
    path: Path, kind: type[Answer] | type[Grade], columns: Mapping[str, Callable[..., Any]]
) -> pd.DataFrame:
    records = read_records(path, kind)
    of_key = {name: attrgetter(name) for name in KEY}
    frame = pd.DataFrame({c: [*map(get, records)] for c, get in (of_key | columns).items()})
    frame = frame.set_index(KEY)
    twice = frame.index.duplicated()
    if twice.any():
        line = int(twice.argmax())
        raise InputError(f"{path}:{line + 1}: {_place(frame.index[line])}: is there twice")
    return frame


def _check_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Raise where two variants of one benchmark were not asked the same questions."""
    there, here = (f"{rows['model'].iloc[0]}/{rows['variant'].iloc[0]}" for rows in (one, other))
    benchmark = one["benchmark"].iloc[0]
    has, has_not = (sorted(rows["repeat"].unique()) for rows in (other, one))
    if has != has_not:
        raise InputError(
            f"benchmark {benchmark!r}: {here} has repeats {_list(has)}, {there} has "
            f"{_list(has_not)}"
        )
    ids = {name: set(rows["id"]) for name, rows in ((there, one), (here, other))}
    for name, lacks in ((there, here), (here, there)):
        for identity in sorted(ids[name] - ids[lacks]):
            raise InputError(
                f"benchmark {benchmark!r}: problem {identity!r} is in {name} and not in {lacks}"
            )


def write_cells(path: Path, cells: pd.DataFrame) -> None:
    """Write the cells, atomically and with the same bytes each time."""
    write_gathered(path, cells)


def load_cells(folder: Path) -> pd.DataFrame:
    """Read the cells below a folder of tables. Raises `InputError` where there are none."""
    layouts = [[*COLUMNS, *marks, *ran] for marks in ([], [MARK]) for ran in ([], RAN)]
    return load_gathered(folder / FILE, "cells", "collect_cells", layouts)


def benchmark_of(missing: str) -> tuple[str, str]:
    """The model and the benchmark that one of the missing files is of."""
    place, benchmark, *_ = missing.split()
    return place.split("/")[0], benchmark


def _place(key: tuple[int, str, int]) -> str:
    return f"problem {key[1]!r}, repeat {key[2]}, budget {key[0]}"


def _list(values: Iterable[int]) -> str:
    return ", ".join(map(str, values))
