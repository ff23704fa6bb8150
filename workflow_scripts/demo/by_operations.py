"""Show the accuracy of variants of the demo's models by the number of operations of a problem.

    python -m workflow_scripts.demo.by_operations results/reasoner/dense results/answerer/dense

It takes the grades that a run has left in the variants' folders, and those under one budget.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from workflow_scripts.artefacts.records import Grade, Problem, read_records
from workflow_scripts.demo.chains import OPERATIONS
from workflow_scripts.errors import InputError
from workflow_scripts.files.bundled import BUNDLED, check_bundled
from workflow_scripts.jobs.stage import run_stage

BENCHMARK = "chains"
ALL = "all"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="of variants, in results")
    parser.add_argument("--budget", type=int, help="thinking tokens; the largest without it")
    options = parser.parse_args()
    print(as_markdown(accuracies(options.folders, options.budget)))


def accuracies(folders: Iterable[Path], budget: int | None = None) -> pd.DataFrame:
    """A row for each number of operations and one for all problems, a column for each folder.

    Raises `InputError` where a folder has no grades, or none under the budget.
    """
    path = check_bundled(BUNDLED / "benchmarks" / f"{BENCHMARK}.jsonl")
    operations = {p.id: sum(map(p.question.count, OPERATIONS)) for p in read_records(path, Problem)}
    found = {}
    for folder in folders:
        file = folder / "grades" / f"{BENCHMARK}.jsonl"
        grades = read_records(file, Grade)
        budgets = sorted({grade.budget for grade in grades})
        wanted = budgets[-1] if budget is None else budget
        if wanted not in budgets:
            raise InputError(
                f"{file}: has no budget {wanted}; there: {', '.join(map(str, budgets))}"
            )
        rows = [(operations[g.id], g.correct) for g in grades if g.budget == wanted]
        frame = pd.DataFrame(rows, columns=["operations", "correct"])
        column = frame.groupby("operations")["correct"].mean()
        column[ALL] = frame["correct"].mean()
        found[f"{folder.parent.name} {folder.name}"] = column
    return pd.DataFrame(found)


def as_markdown(table: pd.DataFrame) -> str:
    """The table as text, with two decimals."""
    rows = [
        ["operations", *table.columns],
        ["---"] * (len(table.columns) + 1),
        *([str(name), *(f"{value:.2f}" for value in row)] for name, *row in table.itertuples()),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    run_stage(main)
