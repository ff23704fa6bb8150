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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.answers.comparison.expressions import PACKAGES
from workflow_scripts.answers.comparison.notation import clean
from workflow_scripts.answers.comparison.pool import Verdict, compare_all
from workflow_scripts.answers.extraction.choices import extract_choice
from workflow_scripts.answers.extraction.integers import whole_number
from workflow_scripts.answers.extraction.statements import Extraction, shown
from workflow_scripts.answers.extraction.values import extract_expression, extract_integer
from workflow_scripts.artefacts.boxes import box_groups
from workflow_scripts.artefacts.records import Answer, Grade, Problem, read_records, write_records
from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.thinking import AnswerPrefix
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import write_json
from workflow_scripts.jobs.source_digests import source_digest
from workflow_scripts.jobs.stage import run_stage


@dataclass(frozen=True)
class Kind:
    """How problems of one kind are graded.

    `extract` finds what an answer states, from the problem, the answer's text and finish, and its
    prefix. Where `is_plain` says so of that, it is right if it is what `normal` makes of the
    problem's own answer; else both are compared as mathematics. `normal` returns None for an answer
    that no problem of this kind can have; `needed` says what it must be.
    """

    extract: Callable[[Problem, str, str, str], Extraction]
    normal: Callable[[Problem], str | None]
    needed: str
    is_plain: Callable[[str], bool]


def _stated(problem: Problem) -> str | None:
    """What a right answer states: of a solution what it concludes, else what it is in a box."""
    whole = extract_expression(problem.answer, "eos")
    if whole.reason not in ("boxed", "stated"):
        whole = extract_expression(rf"\boxed{{{problem.answer}}}", "eos")
    is_found = whole.extracted and whole.reason in ("boxed", "stated") and clean(whole.extracted)
    return whole.extracted if is_found else None


def _whole(problem: Problem) -> str | None:
    boxes = box_groups(problem.answer)
    return whole_number(boxes[-1][0] if boxes else problem.answer)


def _letter(problem: Problem) -> str | None:
    letters = [chr(ord("A") + n) for n in range(len(problem.choices or []))]
    return problem.answer if problem.answer in letters else None


GRADERS = {
    "integer": Kind(
        extract=lambda _, *answer: extract_integer(*answer),
        normal=_whole,
        needed="a whole number",
        is_plain=lambda stated: whole_number(stated) is not None,
    ),
    "math": Kind(
        extract=lambda _, *answer: extract_expression(*answer),
        normal=_stated,
        needed="an answer",
        is_plain=lambda stated: False,
    ),
    "choice": Kind(
        extract=lambda problem, text, finish, prefix: extract_choice(
            text, finish, problem.choices or [], prefix
        ),
        normal=_letter,
        needed="the letter of one of its choices",
        is_plain=lambda stated: True,
    ),
}


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
    stated = [extraction_of(by_id[answer.id], answer, prefix) for answer in answers]
    pairs = {
        (right[answer.id], extraction.extracted)
        for answer, extraction in zip(answers, stated, strict=True)
        if extraction.extracted is not None
        and not GRADERS[by_id[answer.id].kind].is_plain(extraction.extracted)
    }
    verdicts = compare_all(sorted(pairs), workers)
    grades = []
    for answer, extraction in zip(answers, stated, strict=True):
        pair = right[answer.id], extraction.extracted
        verdict = verdicts.get(pair, Verdict(pair[0] == pair[1]))
        extracted = None if extraction.extracted is None else shown(extraction.extracted)
        # where an answer could not be compared, the reason says why
        reason = f"{extraction.reason}: {verdict.note}" if verdict.note else extraction.reason
        key = answer.id, answer.repeat, answer.budget
        grades.append(Grade(*key, extracted, verdict.equal, reason))
    return grades


def extraction_of(problem: Problem, answer: Answer, prefix: AnswerPrefix | None) -> Extraction:
    """What an answer states; what the model's format wrote in front may begin the statement."""
    prefix = prefix or AnswerPrefix()
    written = prefix.after_cap if answer.trace_finish == "length" else prefix.after_stop
    return GRADERS[problem.kind].extract(problem, answer.text, answer.answer_finish, written)


def right_answer(problem: Problem) -> str:
    """The answer of a problem as it is compared. Raises `InputError` where it cannot be."""
    if problem.kind not in GRADERS:
        raise InputError(
            f"problem {problem.id!r}: kind is {problem.kind!r}; graded are: {', '.join(GRADERS)}"
        )
    kind = GRADERS[problem.kind]
    right = kind.normal(problem)
    if right is None:
        raise InputError(f"problem {problem.id!r}: answer is {problem.answer!r}, not {kind.needed}")
    return right


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
