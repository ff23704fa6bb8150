"""Made-up grades and answers in the results' own layout."""

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.tables import dynamic_results, pair_results, task_results
from workflow_scripts.artefacts.records import Answer, Grade, write_records
from workflow_scripts.tables.content.cells import FILE, read_cells, write_cells
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.content.task_scores import FILE as SCORES
from workflow_scripts.tables.content.task_scores import read_task_scores, write_task_scores
from workflow_scripts.tables.table import make

BUDGETS = (6, 12, 24)


def cells_of(
    accuracy: dict[int, float], problems: int = 10, repeats: int = 2, seed: int = 0
) -> tuple[list[Grade], list[Answer]]:
    chance = random.Random(seed)
    grades, answers = [], []
    for number in range(problems):
        for repeat in range(repeats):
            for budget, p in accuracy.items():
                key = (f"p-{number:02}", repeat, budget)
                correct = chance.random() < p
                grades.append(Grade(*key, "1", correct, "stated"))
                answers.append(
                    Answer(*key, 0, budget - number % 2, "length", 2 + repeat, "eos", "1")
                )
    return grades, answers


@pytest.fixture(scope="session")
def pair_source(tmp_path_factory) -> Source:
    """A run of a pair of models with recoveries, and its tables."""
    folder = tmp_path_factory.mktemp("pair")
    pair_results.write_run(folder / "results")
    names = {key: pair_results.OPTIONS[key] for key in ("models", "variants", "benchmarks")}
    write_cells(folder / "tables" / FILE, read_cells(folder / "results", **names))
    source = Source(folder / "results", folder / "tables", pair_results.OPTIONS)
    for table in ("accuracy", "comparison", "pair", "recovered"):
        make(table, source)
    return source


@pytest.fixture(scope="session")
def task_source(tmp_path_factory) -> Source:
    """A run of a pair of models on tasks, and its tables."""
    folder = tmp_path_factory.mktemp("tasks")
    task_results.write_run(folder / "results")
    names = {key: task_results.OPTIONS[key] for key in ("models", "variants")}
    tasks = read_task_scores(folder / "results", **names, tasks=task_results.OPTIONS["tasks"])
    write_task_scores(folder / "tables" / SCORES, tasks)
    cells = read_cells(folder / "results", **names, benchmarks=["chains"])
    write_cells(folder / "tables" / FILE, cells)
    source = Source(folder / "results", folder / "tables", task_results.OPTIONS)
    for table in ("tasks", "task_claims"):
        make(table, source)
    return source


@pytest.fixture(scope="session")
def dynamic_source(tmp_path_factory) -> Source:
    """A run with variants whose tokens skip sublayers, and its tables."""
    folder = tmp_path_factory.mktemp("dynamic")
    dynamic_results.write_run(folder / "results")
    names = {key: dynamic_results.OPTIONS[key] for key in ("models", "variants", "benchmarks")}
    write_cells(folder / "tables" / FILE, read_cells(folder / "results", **names))
    source = Source(folder / "results", folder / "tables", dynamic_results.OPTIONS)
    for table in ("accuracy", "comparison", "size", "routes"):
        make(table, source)
    return source


Write = Callable[..., Path]


@pytest.fixture
def write_results(tmp_path: Path) -> Write:
    def write(
        model: str,
        variant: str,
        benchmark: str,
        grades: Iterable[Grade] | None = None,
        answers: Iterable[Answer] | None = None,
        **options,
    ) -> Path:
        made = cells_of(options.pop("accuracy", dict.fromkeys(BUDGETS, 0.5)), **options)
        folder = tmp_path / "results" / model / variant
        for name, given, otherwise in zip(
            ("grades", "answers"), (grades, answers), made, strict=True
        ):
            records = otherwise if given is None else given
            write_records(folder / name / f"{benchmark}.jsonl", records)
        return tmp_path / "results"

    return write


@pytest.fixture
def made_cells() -> Callable[..., tuple[list[Grade], list[Answer]]]:
    return cells_of
