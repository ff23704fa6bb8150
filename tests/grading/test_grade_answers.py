import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from workflow_scripts.digests import PACKAGE, source_digest
from workflow_scripts.download.answers import KINDS
from workflow_scripts.errors import InputError
from workflow_scripts.grading.expressions import PACKAGES
from workflow_scripts.grading.grade_answers import GRADERS, grade, main
from workflow_scripts.records import Answer, Grade, Problem, read_records, write_records

PROBLEMS = [Problem("a", "1+1=?", "2", "integer"), Problem("b", "3-10=?", "-7", "integer")]


def answer(identity, repeat, budget, text, finish="eos"):
    return Answer(identity, repeat, budget, 0, 5, "stop", 3, finish, text)


ANSWERS = [
    answer("b", 1, 12, "Answer: −7"),
    answer("a", 0, 6, "2"),
    answer("a", 0, 12, r"\boxed{3}"),
    answer("b", 0, 12, "", "length"),
    answer("b", 0, 6, "no idea"),
    answer("a", 1, 12, "02"),
]
GRADES = [
    Grade("b", 1, 12, "-7", True, "stated"),
    Grade("a", 0, 6, "2", True, "last line"),
    Grade("a", 0, 12, "3", False, "boxed"),
    Grade("b", 0, 12, None, False, "truncated"),
    Grade("b", 0, 6, None, False, "none"),
    Grade("a", 1, 12, "2", True, "last line"),
]


def test_grades_have_the_keys_and_the_order_of_the_answers(tmp_path):
    paths = [tmp_path / name for name in ("benchmark.jsonl", "answers.jsonl", "grades.jsonl")]
    write_records(paths[0], PROBLEMS)
    write_records(paths[1], ANSWERS)
    paths.append(tmp_path / "grader.json")
    flags = ("--benchmark", "--answers", "--output", "--grader")
    arguments = [part for pair in zip(flags, map(str, paths), strict=True) for part in pair]
    main(arguments)
    assert read_records(paths[2], Grade) == GRADES
    rows = [json.loads(line) for line in paths[2].read_text().splitlines()]
    assert all(
        list(row) == ["id", "repeat", "budget", "extracted", "correct", "reason"] for row in rows
    )
    first = [path.read_bytes() for path in paths]
    main([*arguments, "--workers", "2"])
    assert [path.read_bytes() for path in paths] == first
    which = json.loads(paths[3].read_text())
    assert which == {"source": source_digest("grading.grade_answers"), "packages": PACKAGES}


def test_the_grader_is_all_that_grading_runs():
    """A module that is only started as a process of its own counts as well."""
    folder = PACKAGE / "grading"
    modules = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("judge")}
    before = source_digest("grading.grade_answers")
    for module in modules - {"__init__"}:
        path = folder / f"{module}.py"
        real = Path.read_bytes
        with mock.patch.object(
            Path, "read_bytes", lambda self, p=path, r=real: r(self) + b"\n0" * (self == p)
        ):
            assert source_digest("grading.grade_answers") != before, module


def test_a_reason_says_why_an_answer_could_not_be_compared():
    problems = [Problem("a", "?", "x+1", "math")]
    (graded,) = grade(problems, [answer("a", 0, 6, r"\boxed{9^{9^{9^{9}}}}")], "answers.jsonl")
    assert graded == Grade("a", 0, 6, "9^{9^{9^{9}}}", False, "boxed: number too large")


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([], "answers.jsonl: holds no answers"),
        ([*ANSWERS, ANSWERS[2]],
         "answers.jsonl:7: problem 'a', repeat 0, budget 12: is answered in line 3 already"),
        ([*ANSWERS, answer("c", 0, 6, "1")],
         "answers.jsonl:7: problem 'c', repeat 0, budget 6: the benchmark has no such problem"),
        (ANSWERS[:-1], "answers.jsonl: problem 'a', repeat 1, budget 12: has no answer"),
        (ANSWERS[:4] + ANSWERS[5:],
         "answers.jsonl: problem 'b', repeat 0, budget 6: has no answer"),
    ],
)  # fmt: skip
def test_answers_that_do_not_fit_the_benchmark(answers, message):
    with pytest.raises(InputError) as caught:
        grade(PROBLEMS, answers, "answers.jsonl")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "letter"}, "problem 'a': kind is 'letter'; graded are: integer, math, choice"),
        ({"answer": "two"}, "problem 'a': answer is 'two', not a whole number"),
        ({"kind": "math", "answer": " "}, "problem 'a': answer is ' ', not an answer"),
        ({"kind": "choice", "answer": "B", "choices": ["1", "2"]}, None),
        (
            {"kind": "choice", "answer": "C", "choices": ["1", "2"]},
            "problem 'a': answer is 'C', not the letter of one of its choices",
        ),
        (
            {"kind": "choice", "answer": "A"},
            "problem 'a': answer is 'A', not the letter of one of its choices",
        ),
    ],
)
def test_a_problem_that_cannot_be_graded(change, message):
    problems = [dataclasses.replace(PROBLEMS[0], **change), PROBLEMS[1]]
    if message is None:
        assert len(grade(problems, ANSWERS, "answers.jsonl")) == len(ANSWERS)
        return
    with pytest.raises(InputError) as caught:
        grade(problems, ANSWERS, "answers.jsonl")
    assert str(caught.value) == message


def test_every_kind_that_a_benchmark_may_have_is_graded():
    assert set(GRADERS) == set(KINDS)


@pytest.mark.parametrize("gold", ["2", "-7", "+007", 12, 3.0, "-0", "9" * 5000])
def test_every_gold_answer_that_a_benchmark_may_have_is_equal_to_itself(gold):
    problem = Problem("a", "?", KINDS["integer"](gold, None), "integer")
    (graded,) = grade([problem], [answer("a", 0, 6, f"Answer: {gold}")], "answers.jsonl")
    assert graded.correct


def test_grading_starts_without_the_heavy_libraries():
    code = (
        "import sys, workflow_scripts.grading.grade_answers; "
        "heavy = {'torch', 'numpy', 'pandas', 'transformers', 'sympy', 'math_verify'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout == "[]\n"
