"""Grade every answer against the benchmark's own.

    python -m workflow_scripts.grading.grade_answers \
        --benchmark resources/benchmarks/chains.jsonl \
        --answers results/reasoner/dense/answers/chains.jsonl \
        --options '{"after_cap": "Final Answer:", "after_stop": ""}' \
        --output results/reasoner/dense/grades/chains.jsonl \
        --grader results/reasoner/dense/grades/chains.grader.json

Reads text and compares text: no model, no judge, no chance. Equal inputs give equal bytes, whatever
the number of workers. The options are the answer prefix: what the model's format writes in front of
an answer.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow_scripts.answers.comparison.expressions import PACKAGES
from workflow_scripts.answers.comparison.pool import Verdict, compare_all
from workflow_scripts.answers.extraction.statements import Extraction, shown
from workflow_scripts.answers.kinds import (
    extraction_of,
    has_part_marks,
    mark_at_once,
    right_answer,
)
from workflow_scripts.artefacts.records import Answer, Grade, Problem, read_records, write_records
from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.thinking import AnswerPrefix
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import write_json
from workflow_scripts.jobs.source_digests import source_digest
from workflow_scripts.jobs.stage import run_stage


def grade(
    problems: Sequence[Problem],
    answers: Sequence[Answer],
    where: str,
    workers: int = 1,
    prefix: AnswerPrefix | None = None,
) -> list[Grade]:
    """Grades with the keys of the answers, in their order.

    Every problem must have exactly one answer for each repeat and budget that occurs; `where`
    names the answers in messages. Raises `InputError` where one is missing, occurs twice or belongs
    to no problem, and for a problem that cannot be graded. `workers` processes compare mathematics.
    """
    by_id = {problem.id: problem for problem in problems}
    right = {problem.id: right_answer(problem) for problem in problems}
    check_complete(by_id, answers, where)
    stated = [stated_in(by_id[answer.id], answer, prefix) for answer in answers]
    marks = [
        mark_at_once(by_id[answer.id], right[answer.id], extraction.extracted)
        for answer, extraction in zip(answers, stated, strict=True)
    ]
    pairs = [
        (right[answer.id], extraction.extracted)
        for answer, extraction in zip(answers, stated, strict=True)
    ]
    undecided = {pair for pair, mark in zip(pairs, marks, strict=True) if mark is None}
    verdicts = compare_all(sorted(undecided), workers)
    grades = []
    for answer, extraction, pair, mark in zip(answers, stated, pairs, marks, strict=True):
        # where an answer could not be compared, the reason says why
        verdict = verdicts[pair] if mark is None else Verdict(mark == 1)
        reason = f"{extraction.reason}: {verdict.note}" if verdict.note else extraction.reason
        extracted = None if extraction.extracted is None else shown(extraction.extracted)
        key = answer.id, answer.repeat, answer.budget
        score = mark if has_part_marks(by_id[answer.id]) else None
        grades.append(Grade(*key, extracted, verdict.equal, reason, score))
    return grades


def stated_in(problem: Problem, answer: Answer, prefix: AnswerPrefix | None) -> Extraction:
    """What an answer states; what the model's format wrote in front may begin the statement."""
    prefix = prefix or AnswerPrefix()
    written = prefix.after_cap if answer.trace_finish == "length" else prefix.after_stop
    return extraction_of(problem, answer.text, answer.answer_finish, written)


def grader() -> dict[str, object]:
    """What graded: the digest of its source, and the versions of the libraries it is made for."""
    return {"source": source_digest("grading.grade_answers"), "packages": PACKAGES}


def check_complete(problems: Mapping[str, Problem], answers: Sequence[Answer], where: str) -> None:
    """Raise `InputError` unless answers are one for each problem, repeat and budget that occurs."""
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
    parser.add_argument(
        "--options", type=parser_of(AnswerPrefix), help="the answer prefix of the format, JSON"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes that compare mathematics")
    parser.add_argument("--output", required=True, type=Path, help="JSONL file of grades to write")
    parser.add_argument("--grader", type=Path, help="JSON file to write: which grader graded")
    options = parser.parse_args(arguments)
    problems = read_records(options.benchmark, Problem)
    answers = read_records(options.answers, Answer)
    grades = grade(problems, answers, str(options.answers), options.workers, options.options)
    if options.grader:
        write_json(options.grader, grader())
    write_records(options.output, grades)


if __name__ == "__main__":
    run_stage(main)
