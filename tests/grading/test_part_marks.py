"""A small benchmark of every kind of answer, graded from files to files."""

import json

import pytest

from workflow_scripts.artefacts.records import Answer, Grade, Problem, read_records, write_records
from workflow_scripts.grading.grade_answers import main

PROBLEMS = [
    Problem("whole", "3+4=?", "7", "integer"),
    Problem("near-whole", "3+4=?", "7", "integer", tolerance=0.01),
    Problem("half", "1/2=?", r"\frac{1}{2}", "math"),
    Problem("third", "1/3=?", "0.33", "number", tolerance=0.01),
    Problem("one", "Which is odd?", "B", "choice", ["2 m", "3 m", "4 m"]),
    Problem("one-within", "Odd: (A) 2, (B) 3, (C) 4 or (D) 6?", "B", "choice"),
    Problem("some", "Even: (A) 2, (B) 3, (C) 4 and (D) 6?", "ACD", "choices"),
    Problem("some-exact", "Even: (A) 2, (B) 3, (C) 4 and (D) 6?", "ACD", "choices", marks="exact"),
    Problem("some-given", "Which are even?", "AC", "choices", ["2 m", "3 m", "4 m"]),
]
# by problem: answers, and what of each is extracted, right, and scored (where there are part marks)
ANSWERS = {
    "whole": [(r"\boxed{7}", "7", True), (r"\boxed{6.995}", "6.995", False)],
    "near-whole": [(r"\boxed{6.995}", "6.995", True), (r"\boxed{6.9}", "6.9", False)],
    "half": [(r"\boxed{0.5}", "0.5", True), (r"\boxed{0.501}", "0.501", False)],
    "third": [(r"\boxed{\frac{1}{3}}", r"\frac{1}{3}", True), ("It is 0.35 m.", "0.35 m", False)],
    "one": [(r"\boxed{3 m}", "B", True), ("The answer is (C).", "C", False)],
    "one-within": [(r"\boxed{B}", "B", True), ("Answer: (D)", "D", False)],
    "some": [(r"\boxed{D, A, C}", "ACD", True, 1.0), ("Answer: A and C", "AC", False, 0.5)],
    "some-exact": [(r"\boxed{ACD}", "ACD", True), (r"\boxed{AC}", "AC", False)],
    "some-given": [("2 m and 4 m are correct.", "AC", True, 1.0), ("", None, False, 0.0)],
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The file of grades."""
    folder = tmp_path_factory.mktemp("graded")
    benchmark, answers, grades = (folder / f"{n}.jsonl" for n in ("problems", "answers", "grades"))
    write_records(benchmark, PROBLEMS)
    written = [
        Answer(problem, repeat, 8, 0, 1, "stop", 1, "eos", text)
        for problem, found in ANSWERS.items()
        for repeat, (text, *_) in enumerate(found)
    ]
    write_records(answers, written)
    assert read_records(benchmark, Problem) == PROBLEMS
    main(["--benchmark", str(benchmark), "--answers", str(answers), "--output", str(grades)])
    return grades


def test_every_answer_is_read_and_marked_as_its_kind_says(graded):
    expected = [
        (problem, repeat, *found[1:])
        for problem, answers in ANSWERS.items()
        for repeat, found in enumerate(answers)
    ]
    for grade, (*key, extracted, correct, score) in zip(
        read_records(graded, Grade), [(*e, None)[:5] for e in expected], strict=True
    ):
        assert [grade.id, grade.repeat] == key
        assert (grade.extracted, grade.correct, grade.score) == (extracted, correct, score), key
        assert grade.mark == (float(correct) if score is None else score)


def test_a_score_stands_only_where_there_are_part_marks(graded):
    usual = ["id", "repeat", "budget", "extracted", "correct", "reason"]
    for line in graded.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        has_part_marks = row["id"] in ("some", "some-given")
        assert list(row) == [*usual, "score"] if has_part_marks else list(row) == usual
