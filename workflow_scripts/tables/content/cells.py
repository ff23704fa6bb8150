"""The graded answers of one model, variant, benchmark and budget: a cell of every table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from workflow_scripts.artefacts.records import Answer, Grade, read_records
from workflow_scripts.errors import InputError

Keyed = TypeVar("Keyed", Answer, Grade)


@dataclass(frozen=True)
class Cell:
    """Grades under one budget.

    `correct` maps a problem's id to its repeats, in `repeats`' order, and `extracted` to what was
    taken from their answers. The token counts are means over all answers of the cell.
    """

    model: str
    variant: str
    benchmark: str
    budget: int
    repeats: tuple[int, ...]
    correct: Mapping[str, tuple[bool, ...]]
    extracted: Mapping[str, tuple[str | None, ...]]
    trace_tokens: float
    answer_tokens: float

    @property
    def matrix(self) -> NDArray:
        """Whether each answer is correct, shape (problems, repeats), problems by their ids."""
        return np.array([self.correct[identity] for identity in sorted(self.correct)], dtype=int)


@dataclass(frozen=True)
class Cells:
    """Every cell of a run that is there, and the names of those graded files that are not.

    `missing` holds `model/variant: benchmark`, with what is wrong of a file that is of another
    design in brackets behind it; the lists are what the run is to hold. `budgets` is empty where
    that is whatever is there.
    """

    models: tuple[str, ...]
    variants: tuple[str, ...]
    benchmarks: tuple[str, ...]
    cells: tuple[Cell, ...]
    missing: tuple[str, ...]
    budgets: tuple[int, ...] = ()


def read_cells(
    results: Path,
    models: Sequence[str],
    variants: Sequence[str],
    benchmarks: Sequence[str],
    budgets: Sequence[int] = (),
    repeats: int | None = None,
) -> Cells:
    """Every cell, in the order of the lists (benchmarks fastest) and then by budget.

    A benchmark that a variant has no grades of is missing. Where a run's `budgets` and number of
    `repeats` are given, so are a file's budgets that are not there, and a file with other repeats:
    it is from before the config was changed. Its other budgets are left out. Raises `InputError`
    naming file, problem, repeat and budget where a grade or an answer in a file is missing or
    stands twice, where two files of one benchmark are not about the same problems and repeats, and
    where there are no grades at all.
    """
    cells: list[Cell] = []
    missing: list[str] = []
    first: dict[str, Cell] = {}
    for model in models:
        for variant in variants:
            for benchmark in benchmarks:
                name = f"{model}/{variant}: {benchmark}"
                if not (results / model / variant / "grades" / f"{benchmark}.jsonl").exists():
                    missing.append(name)
                    continue
                found = _read_file(results, model, variant, benchmark)
                if repeats is not None and found[0].repeats != tuple(range(repeats)):
                    missing.append(f"{name} (has repeats {_list(found[0].repeats)})")
                    continue
                _check_same(first.setdefault(benchmark, found[0]), found[0])
                lacking = [b for b in budgets if b not in {cell.budget for cell in found}]
                if lacking:
                    missing.append(f"{name} (budgets {_list(lacking)})")
                cells += [cell for cell in found if not budgets or cell.budget in budgets]
    if not cells:
        raise InputError(f"{results}: holds no grades of {', '.join(missing)}")
    lists = map(tuple, (models, variants, benchmarks, cells, missing, sorted(budgets)))
    return Cells(*lists)


def benchmark_of(missing: str) -> tuple[str, str]:
    """The model and the benchmark that one of `Cells.missing` is of."""
    place, benchmark, *_ = missing.split()
    return place.split("/")[0], benchmark


def _read_file(results: Path, model: str, variant: str, benchmark: str) -> list[Cell]:
    folder = results / model / variant
    paths = {name: folder / name / f"{benchmark}.jsonl" for name in ("grades", "answers")}
    grades = _by_key(read_records(paths["grades"], Grade), paths["grades"])
    answers = _by_key(read_records(paths["answers"], Answer), paths["answers"])
    if not grades:
        raise InputError(f"{paths['grades']}: holds no grades")
    ids = list(dict.fromkeys(key[0] for key in grades))
    repeats = sorted({key[1] for key in grades})
    budgets = sorted({key[2] for key in grades})
    whole = [(i, repeat, budget) for budget in budgets for i in ids for repeat in repeats]
    for path, records in ((paths["grades"], grades), (paths["answers"], answers)):
        kind = path.parent.name.removesuffix("s")
        for key in whole:
            if key not in records:
                raise InputError(f"{path}: {_place(key)}: has no {kind}")
    for key in answers:
        if key not in grades:
            raise InputError(f"{paths['grades']}: {_place(key)}: has no grade")
    return [
        Cell(
            model=model,
            variant=variant,
            benchmark=benchmark,
            budget=budget,
            repeats=tuple(repeats),
            correct={i: tuple(grades[i, r, budget].correct for r in repeats) for i in ids},
            extracted={i: tuple(grades[i, r, budget].extracted for r in repeats) for i in ids},
            trace_tokens=_mean(answers[i, r, budget].trace_tokens for i in ids for r in repeats),
            answer_tokens=_mean(answers[i, r, budget].answer_tokens for i in ids for r in repeats),
        )
        for budget in budgets
    ]


def _by_key(records: Sequence[Keyed], path: Path) -> dict[tuple[str, int, int], Keyed]:
    keyed = {}
    for line, record in enumerate(records, 1):
        key = (record.id, record.repeat, record.budget)
        if key in keyed:
            raise InputError(f"{path}:{line}: {_place(key)}: stands twice")
        keyed[key] = record
    return keyed


def _check_same(one: Cell, other: Cell) -> None:
    """Raise where two variants of one benchmark were not asked the same questions."""
    here = f"{other.model}/{other.variant}"
    there = f"{one.model}/{one.variant}"
    if other.repeats != one.repeats:
        raise InputError(
            f"benchmark {one.benchmark!r}: {here} has repeats {_list(other.repeats)}, "
            f"{there} has {_list(one.repeats)}"
        )
    for has, name, lacks, other_name in ((one, there, other, here), (other, here, one, there)):
        for identity in has.correct:
            if identity not in lacks.correct:
                raise InputError(
                    f"benchmark {one.benchmark!r}: problem {identity!r} is in {name} and not in "
                    f"{other_name}"
                )


def _place(key: tuple[str, int, int]) -> str:
    return f"problem {key[0]!r}, repeat {key[1]}, budget {key[2]}"


def _list(values: Iterable[int]) -> str:
    return ", ".join(map(str, values))


def _mean(counts: Iterable[int]) -> float:
    values = list(counts)
    return sum(values) / len(values)
