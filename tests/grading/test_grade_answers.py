import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from workflow_scripts.answers.comparison import pool
from workflow_scripts.answers.comparison.expressions import PACKAGES
from workflow_scripts.answers.kinds import KINDS as GRADED
from workflow_scripts.artefacts.records import Answer, Grade, Problem, read_records, write_records
from workflow_scripts.config.sources import problems as config_kinds
from workflow_scripts.config.thinking import AnswerPrefix
from workflow_scripts.errors import InputError
from workflow_scripts.grading.grade_answers import grade, main
from workflow_scripts.inputs.problems.answers import KINDS
from workflow_scripts.jobs.source_digests import PACKAGE, source_digest
from workflow_scripts.paths import PROJECT

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
    main([*arguments, "--workers", "2", "--options", PREFIX.model_dump_json()])
    assert [path.read_bytes() for path in paths] == first
    which = json.loads(paths[3].read_text())
    assert which == {"source": source_digest("grading.grade_answers"), "packages": PACKAGES}


def test_the_grader_is_all_that_grading_runs():
    """A module that only runs in worker processes counts as well."""
    folder = PACKAGE / "answers"
    assert (folder / "comparison").is_dir() and (folder / "extraction").is_dir()
    before = source_digest("grading.grade_answers")
    for part in ("comparison", "extraction"):
        for path in [p for p in (folder / part).glob("*.py") if p.stem != "__init__"]:
            real = Path.read_bytes
            with mock.patch.object(
                Path, "read_bytes", lambda self, p=path, r=real: r(self) + b"\n0" * (self == p)
            ):
                assert source_digest("grading.grade_answers") != before, path


# right answer, what stands in the box, whether it is right
INTEGERS = [
    ("27", "27 miles", True), ("18", "18 dollars", True), ("45", "45 degrees", True),
    ("45", r"45\degree", True), ("27", r"27\text{ mi}^2", True), ("27", "{27}", True),
    ("27", "(27)", True), ("-1", "(-1)", True), ("27", r"\displaystyle 27", True),
    ("27", r"\bm{27}", True), ("540", r"\mathsf{540}", True), ("27", r"\frac{54}{2}", True),
    ("8", "2^3", True), ("540", "540 ways", True), ("27", "28 miles", False),
    ("27", r"\frac{54}{3}", False), ("8", "3^2", False), ("1", "(-1)", False),
    ("27", r"x=1,\ y=27", False), ("1", r"x=1,\ y=27", False), ("27", "27, 28", False),
    ("27", "27.5", False), ("27", "unknown", False), ("3", r"\text{three}", False),
    ("27", "9" * 2000, False), ("27", "word " * 1000, False),
]  # fmt: skip


def test_whole_numbers_are_compared_as_mathematics_where_they_are_not_plain():
    problems = [Problem(str(n), "?", case[0], "integer") for n, case in enumerate(INTEGERS)]
    texts = [answer(str(n), 0, 6, rf"\boxed{{{case[1]}}}") for n, case in enumerate(INTEGERS)]
    graded = grade(problems, texts, "answers.jsonl", 2)
    assert [(*case[:2], g.correct) for case, g in zip(INTEGERS, graded, strict=True)] == INTEGERS
    assert max(len(g.extracted) for g in graded) <= 101  # what is longer is shown in part
    assert [g.correct for g in graded] == [
        g.correct for g in grade([replace(p, kind="math") for p in problems], texts, "a", 2)
    ]


def test_plain_whole_numbers_and_choices_start_no_worker():
    problems = [*PROBLEMS, Problem("c", "?", "B", "choice", ["1", "2"])]
    answers = [answer("a", 0, 6, r"\boxed{x = 3}"), answer("b", 0, 6, "Answer: 7 miles")]
    answers.append(answer("c", 0, 6, r"\boxed{x^2+1}"))
    with mock.patch.object(pool, "ProcessPool", side_effect=AssertionError):
        graded = grade(problems, answers, "answers.jsonl")
    assert [g.correct for g in graded] == [False] * 3


PREFIX = AnswerPrefix(after_cap="Final Answer:")


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("a", "?", "27", "integer"), " 27 miles from here.\n\nBeth rides 12 mph."),
        (Problem("a", "?", r"12\pi", "math"), " $12\\pi$, a surprise.\n\nThe height is 3."),
        (Problem("a", "?", "A", "choice", ["1 eV", "2 eV"]), " A at rest.\n\nThis is so."),
    ],
)
def test_what_the_format_began_to_state_counts_where_it_did(problem, text):
    cut = replace(answer("a", 0, 6, text), trace_finish="length")
    for trace_finish, prefix, correct in (
        ("length", PREFIX, True),
        ("length", None, False),
        ("stop", PREFIX, False),
        ("eos", PREFIX, False),
        ("stop", AnswerPrefix(after_stop="So the answer is"), True),
    ):
        one = replace(cut, trace_finish=trace_finish)
        (graded,) = grade([problem], [one], "answers.jsonl", prefix=prefix)
        assert graded.correct == correct


@pytest.mark.parametrize(
    ("kind", "gold", "text"),
    [
        ("math", r"$\boxed{\frac{1}{2}}$", "The answer is 1/2."),
        ("math", r"We add, so we get $\boxed{\frac{1}{2}}$.", r"\boxed{\frac12}"),
        ("math", "We add. The answer is $x^2$.", r"\boxed{x^2}"),
        ("math", r"\(42\)", "42"),
        ("integer", r"\boxed{42}", r"\boxed{42}"),
    ],
)
def test_a_right_answer_is_read_as_answers_are(kind, gold, text):
    (graded,) = grade([Problem("a", "?", gold, kind)], [answer("a", 0, 6, text)], "a")
    assert graded.correct


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
        (
            {"kind": "letter"},
            "problem 'a': kind is 'letter'; graded are: integer, math, number, choice, choices",
        ),
        ({"answer": "two"}, "problem 'a': answer is 'two', not a whole number"),
        ({"kind": "math", "answer": " "}, "problem 'a': answer is ' ', not an answer"),
        ({"kind": "choice", "answer": "B", "choices": ["1", "2"]}, None),
        (
            {"kind": "choice", "answer": "C", "choices": ["1", "2"]},
            "problem 'a': answer is 'C', not the letter of one of its choices",
        ),
        (
            {"kind": "choice", "answer": "E"},  # of the choices A to D in its question
            "problem 'a': answer is 'E', not the letter of one of its choices",
        ),
        (
            {"kind": "choices", "answer": "ABE"},
            "problem 'a': answer is 'ABE', not letters of its choices",
        ),
        (
            {"kind": "number", "answer": "x", "tolerance": 0.1},
            "problem 'a': answer is 'x', not a number with a tolerance",
        ),
        (
            {"kind": "number", "answer": "0.5"},
            "problem 'a': answer is '0.5', not a number with a tolerance",
        ),
    ],
)
def test_a_problem_that_cannot_be_graded(change, message):
    problems = [replace(PROBLEMS[0], **change), PROBLEMS[1]]
    if message is None:
        assert len(grade(problems, ANSWERS, "answers.jsonl")) == len(ANSWERS)
        return
    with pytest.raises(InputError) as caught:
        grade(problems, ANSWERS, "answers.jsonl")
    assert str(caught.value) == message


def test_every_kind_that_a_benchmark_may_have_is_graded():
    assert list(GRADED) == list(KINDS) == list(config_kinds.KINDS)


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
    root = PROJECT
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout == "[]\n"
