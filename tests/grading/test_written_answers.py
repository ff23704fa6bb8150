"""Whole answers, as models write them, through extraction and comparison to the verdict."""

import pytest

from tests.grading.written_answers import CHOICE, CHOICES, MATH
from workflow_scripts.artefacts.records import Answer, Problem
from workflow_scripts.grading.grade_answers import grade


def grades_of(cases, kind, choices=None, workers=1):
    problems = [Problem(str(n), "?", gold, kind, choices) for n, (gold, *_) in enumerate(cases)]
    answers = [
        Answer(str(n), 0, 1, 0, 1, "stop", 1, "eos", text) for n, (_, text, _) in enumerate(cases)
    ]
    return grade(problems, answers, "answers.jsonl", workers)


@pytest.fixture(scope="module")
def math_grades():
    return grades_of(MATH, "math")


def test_there_are_as_many_cases_as_it_takes():
    assert len(MATH) + len(CHOICE) > 200
    assert len({(gold, text) for gold, text, _ in [*MATH, *CHOICE]}) == len(MATH) + len(CHOICE)


@pytest.mark.parametrize(
    "number", range(len(MATH)), ids=lambda n: f"{MATH[n][0]} {MATH[n][1]}"[:60]
)
def test_mathematics(math_grades, number):
    assert math_grades[number].correct == MATH[number][2], math_grades[number]


@pytest.mark.parametrize(("gold", "text", "verdict"), CHOICE)
def test_multiple_choice(gold, text, verdict):
    (graded,) = grades_of([(gold, text, verdict)], "choice", CHOICES)
    assert graded.correct == verdict, graded


def test_the_verdicts_do_not_depend_on_order_or_workers(math_grades):
    backwards = grades_of(MATH[::-1], "math", workers=3)
    assert [g.correct for g in backwards[::-1]] == [g.correct for g in math_grades]
    assert [g.reason for g in backwards[::-1]] == [g.reason for g in math_grades]
