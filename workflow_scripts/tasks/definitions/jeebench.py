"""JEEBench for the harness: the prompts and marks that the benchmark of the same name has here.

Both are those of the default config's entries, so that a task and a benchmark under budgets ask and
grade alike: questions in the words of `prompts`, rows read and answers marked by `answers`.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import yaml

from workflow_scripts.answers.kinds import mark_of
from workflow_scripts.artefacts.records import Problem
from workflow_scripts.config.prompts import filled, questions_of
from workflow_scripts.config.sources.problems import HubProblems
from workflow_scripts.inputs.problems.problems import Layout, layout_of, problems_from_rows
from workflow_scripts.inputs.problems.rows import Row
from workflow_scripts.paths import CONFIG

NAME = "jeebench"


@cache
def _entries() -> tuple[Layout, Mapping[str, str]]:
    """How rows hold problems, and the texts that kinds of them are put in."""
    config = yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))
    benchmark = config["benchmarks"][NAME]
    source = HubProblems.model_validate(benchmark["source"])
    return layout_of(source), config["prompts"][benchmark["prompt"]]["text"]


def problem_of(doc: Mapping[str, Any]) -> Problem:
    """The problem of a row. Raises `InputError`, one line, for a type that is not known."""
    where = f"task {NAME}: {doc.get('description', 'a row')}, index {doc.get('index')}"
    (problem,), _ = problems_from_rows([Row(where, doc)], NAME, _entries()[0])
    return problem


def doc_to_text(doc: Mapping[str, Any]) -> str:
    """The prompt: what the type of the problem asks for, and its question without blank lines."""
    problem = problem_of(doc)
    return filled(_entries()[1][problem.kind], questions_of(problem.question))


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """The marks of an answer, from 0 to 1."""
    return {"score": mark_of(problem_of(doc), results[0])}
