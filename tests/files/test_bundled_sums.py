"""The word problems that this project made for real small models are right and not mixed up."""

import json
import operator
import re

import pytest

from workflow_scripts.artefacts.records import Problem, read_records
from workflow_scripts.paths import PROJECT

BUNDLED = PROJECT / "bundled"
TRAINING = read_records(BUNDLED / "benchmarks" / "sums-training.jsonl", Problem)
HELD_OUT = read_records(BUNDLED / "benchmarks" / "sums.jsonl", Problem)
SOLUTIONS = [
    json.loads(line) for line in (BUNDLED / "calibration" / "sums.jsonl").read_text().splitlines()
]
STEP = re.compile(r"(\d+(?: [-+*/] \d+)+) = (\d+)")
OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


def test_no_problem_stands_twice():
    questions = [problem.question for problem in [*TRAINING, *HELD_OUT]]
    assert len(set(questions)) == len(questions) == 40 + 32
    assert {problem.kind for problem in [*TRAINING, *HELD_OUT]} == {"integer"}


@pytest.mark.parametrize("place", range(len(TRAINING)))
def test_a_solution_calculates_its_problem_s_answer(place):
    problem, row = TRAINING[place], SOLUTIONS[place]
    assert row["prompt"] == problem.question
    worked, _, end = row["completion"].partition("\n#### ")
    assert end == f"{problem.answer}<|im_end|>"
    steps = STEP.findall(worked)
    for calculation, result in steps:
        first, *rest = calculation.split()
        value = int(first)
        for sign, number in zip(rest[::2], rest[1::2], strict=True):
            value = OPERATIONS[sign](value, int(number))
        assert value == int(result), calculation
    assert steps[-1][1] == problem.answer


def test_there_is_a_solution_for_every_problem():
    assert len(SOLUTIONS) == len(TRAINING)
