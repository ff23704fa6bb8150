"""Made-up grades and answers in the results' own layout."""

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from workflow_scripts.artefacts.records import Answer, Grade, write_records

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
