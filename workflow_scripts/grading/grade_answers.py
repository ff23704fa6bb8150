"""Grade every answer against the benchmark's own.

    python -m workflow_scripts.grading.grade_answers \
        --benchmark resources/benchmarks/chains.jsonl \
        --answers results/reasoner/dense/answers/chains.jsonl \
        --output results/reasoner/dense/grades/chains.jsonl

Reads text and compares text: no model, no judge, no chance. Equal inputs give equal bytes.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from workflow_scripts.errors import InputError, run_stage
from workflow_scripts.grading.extraction import extract_integer, whole_number
from workflow_scripts.records import Answer, Grade, Problem, read_records, write_records


def _grade_integer(problem: Problem, answer: Answer) -> Grade:
    """Correct is an answer that states the same whole number, however either is written."""
    extraction = extract_integer(answer.text, answer.answer_finish)
    return Grade(
        id=answer.id,
        repeat=answer.repeat,
        budget=answer.budget,
        extracted=extraction.extracted,
        correct=extraction.extracted == whole_number(problem.answer),
        reason=extraction.reason,
    )


# How an answer to a problem of each kind is graded.
GRADERS: dict[str, Callable[[Problem, Answer], Grade]] = {"integer": _grade_integer}


def grade(problems: Sequence[Problem], answers: Sequence[Answer], where: str) -> list[Grade]:
    """Grades with the keys of the answers, in their order.

    Every problem must have exactly one answer for each repeat and budget that occurs; `where`
    names the answers in messages. Raises `InputError` where one is missing, stands twice or belongs
    to no problem, and for a problem of a kind that cannot be graded.
    """
    by_id = {problem.id: problem for problem in problems}
    for problem in problems:
        if problem.kind not in GRADERS:
            raise InputError(
                f"problem {problem.id!r}: kind is {problem.kind!r}; "
                f"graded are: {', '.join(GRADERS)}"
            )
        if problem.kind == "integer" and whole_number(problem.answer) is None:
            raise InputError(
                f"problem {problem.id!r}: answer is {problem.answer!r}, not a whole number"
            )
    _check_complete(by_id, answers, where)
    return [GRADERS[by_id[answer.id].kind](by_id[answer.id], answer) for answer in answers]


def _check_complete(problems: Mapping[str, Problem], answers: Sequence[Answer], where: str) -> None:
    if not answers:
        raise InputError(f"{where}: holds no answers")
    seen: dict[tuple[str, int, int], int] = {}
    for line, answer in enumerate(answers, 1):
        key = (answer.id, answer.repeat, answer.budget)
        place = _place(*key)
        if answer.id not in problems:
            raise InputError(f"{where}:{line}: {place}: the benchmark has no such problem")
        if key in seen:
            raise InputError(f"{where}:{line}: {place}: is answered in line {seen[key]} already")
        seen[key] = line
    for repeat, budget in sorted({(repeat, budget) for _, repeat, budget in seen}):
        for identity in problems:
            if (identity, repeat, budget) not in seen:
                raise InputError(f"{where}: {_place(identity, repeat, budget)}: has no answer")


def _place(identity: str, repeat: int, budget: int) -> str:
    return f"problem {identity!r}, repeat {repeat}, budget {budget}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", required=True, type=Path, help="JSONL file of problems")
    parser.add_argument("--answers", required=True, type=Path, help="JSONL file of answers")
    parser.add_argument("--output", required=True, type=Path, help="JSONL file of grades to write")
    options = parser.parse_args(arguments)
    problems = read_records(options.benchmark, Problem)
    answers = read_records(options.answers, Answer)
    write_records(options.output, grade(problems, answers, str(options.answers)))


if __name__ == "__main__":
    run_stage(main)
