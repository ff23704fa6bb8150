"""Accuracy by the number of operations, from the grades of a run."""

import sys

import pytest

from workflow_scripts.artefacts.records import Grade, Problem, read_records, write_records
from workflow_scripts.demo import by_operations
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.paths import PROJECT

PROBLEMS = read_records(PROJECT / "bundled" / "benchmarks" / "chains.jsonl", Problem)


def operations(problem):
    return sum(character in "+-*" for character in problem.question)


def graded(folder, right):
    """Grades of two repeats and budgets; `right` says of a problem's operations and the budget."""
    grades = [
        Grade(p.id, repeat, budget, p.answer, right(operations(p), budget), "boxed")
        for p in PROBLEMS
        for repeat in (0, 1)
        for budget in (6, 72)
    ]
    write_records(folder / "grades" / "chains.jsonl", grades)
    return folder


@pytest.fixture
def shown(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["by_operations", *map(str, arguments)])
        run_stage(by_operations.main)
        return capsys.readouterr().out.splitlines()

    return run


def test_each_number_of_operations_has_a_row_and_each_variant_a_column(shown, tmp_path):
    worked = graded(tmp_path / "reasoner" / "dense", lambda count, budget: budget == 72)
    answered = graded(tmp_path / "answerer" / "dense", lambda count, budget: count <= 3)
    few = sum(operations(p) <= 3 for p in PROBLEMS) / len(PROBLEMS)
    head, _, *rows, whole = shown(worked, answered)
    assert head == "| operations | reasoner dense | answerer dense |"
    assert rows == [f"| {n} | 1.00 | {float(n <= 3):.2f} |" for n in range(2, 13)]
    assert whole == f"| all | 1.00 | {few:.2f} |"
    assert shown(worked, answered, "--budget", "6")[-1] == f"| all | 0.00 | {few:.2f} |"


def test_a_budget_that_was_not_run_is_one_line(shown, tmp_path, capsys):
    folder = graded(tmp_path / "reasoner" / "dense", lambda count, budget: True)
    with pytest.raises(SystemExit, match="1"):
        shown(folder, "--budget", "7")
    file = folder / "grades" / "chains.jsonl"
    assert capsys.readouterr().err == f"error: {file}: has no budget 7; there: 6, 72\n"
