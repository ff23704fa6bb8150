"""Let a judge say of every answer whether it is correct, beside the deterministic grades.

    JUDGE_API_KEY=... python -m workflow_scripts.grading.judge_answers \\
        --benchmark resources/benchmarks/math500.jsonl \\
        --answers results/s1/dense/answers/math500.jsonl \\
        --options '{"url": "https://...", "model": "...", "prompt": "equivalence", ...}' \\
        --cache judge_store --output results/s1/dense/judgements/math500.jsonl

The key comes from the environment variable that the options name, and stands in no file or log.
Replies are kept in the cache; when the endpoint gives up, starting again goes on from there.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from workflow_scripts.artefacts.records import (
    Answer,
    Judgement,
    Problem,
    read_records,
    write_records,
)
from workflow_scripts.errors import InputError
from workflow_scripts.grading.grade_answers import check_complete, extraction_of, right_answer
from workflow_scripts.grading.judge.client import Judge, ask, judge_from
from workflow_scripts.grading.judge.prompts import PROTOCOLS, Case
from workflow_scripts.jobs.stage import run_stage

_SHOWN = 200  # characters of a reply


def cases_of(
    problems: Mapping[str, Problem], answers: Sequence[Answer], leads: Mapping[str, str]
) -> list[Case]:
    """What is judged, in the order of the answers; `leads` is what `extraction_of` takes.

    What was extracted earlier for the same problem and budget goes by repeats, in their order.
    """
    earlier: dict[tuple[str, int], list[str]] = {}
    cases = {}
    for answer in sorted(answers, key=lambda answer: answer.repeat):
        problem = problems[answer.id]
        extracted = extraction_of(problem, answer, leads).extracted
        before = earlier.setdefault((answer.id, answer.budget), [])
        cases[_key(answer)] = Case(
            question=_with_choices(problem),
            right=right_answer(problem),
            text=answer.text,
            extracted=extracted,
            earlier=tuple(before),
        )
        if extracted is not None and extracted not in before:
            before.append(extracted)
    return [cases[_key(answer)] for answer in answers]


def _key(answer: Answer) -> tuple[str, int, int]:
    return answer.id, answer.repeat, answer.budget


def _with_choices(problem: Problem) -> str:
    lines = [f"{chr(ord('A') + n)}) {choice}" for n, choice in enumerate(problem.choices or [])]
    return "\n".join([problem.question, *lines])


def judge_cases(
    judge: Judge, prompt: str, cases: Sequence[Case], cache: Path, parallel: int
) -> list[tuple[bool | None, str | None, str]]:
    """Verdict, reply and reason for every case.

    The reason is `judged`; `digits` where the protocol compares them itself; or `unreadable`, with
    no verdict, where the reply says none. Raises `InputError` where the endpoint gives up.
    """
    protocol = PROTOCOLS[prompt]
    decided = [protocol.decided(case) for case in cases]
    prompts = [
        None if verdict is not None else protocol.ask(case)
        for case, verdict in zip(cases, decided, strict=True)
    ]
    replies: dict[str | None, str] = {}
    unique = list(dict.fromkeys(text for text in prompts if text is not None))
    with ThreadPoolExecutor(parallel) as executor:
        try:
            for text, reply in zip(
                unique, executor.map(lambda text: ask(judge, text, cache), unique), strict=True
            ):
                replies[text] = reply
        except BaseException:
            executor.shutdown(cancel_futures=True)
            raise
    judged = []
    for case, verdict, text in zip(cases, decided, prompts, strict=True):
        if verdict is not None:
            judged.append((verdict, None, "digits"))
        else:
            said = protocol.read(replies[text], case)
            judged.append((said, _shown(replies[text]), "unreadable" if said is None else "judged"))
    return judged


def _shown(reply: str) -> str:
    line = " ".join(reply.split())
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", required=True, type=Path, help="JSONL file of problems")
    parser.add_argument("--answers", required=True, type=Path, help="JSONL file of answers")
    parser.add_argument(
        "--options", required=True, type=json.loads, help="the config's judge, JSON"
    )
    parser.add_argument(
        "--cache", required=True, type=Path, help="folder in which replies are kept"
    )
    parser.add_argument(
        "--leads", type=json.loads, default={}, help="what the format writes before answers, JSON"
    )
    parser.add_argument("--output", required=True, type=Path, help="JSONL file to write")
    options = parser.parse_args(arguments)
    problems = {problem.id: problem for problem in read_records(options.benchmark, Problem)}
    answers = read_records(options.answers, Answer)
    check_complete(problems, answers, str(options.answers))
    judged = judgements(problems, answers, options.options, options.cache, options.leads)
    write_records(options.output, judged)


def judgements(
    problems: Mapping[str, Problem],
    answers: Sequence[Answer],
    options: Mapping[str, Any],
    cache: Path,
    leads: Mapping[str, str] | None = None,
) -> list[Judgement]:
    """A judgement for every answer, in their order."""
    if options["prompt"] not in PROTOCOLS:
        raise InputError(
            f"judge.prompt: {options['prompt']!r} is not known; there are: {', '.join(PROTOCOLS)}"
        )
    cases = cases_of(problems, answers, leads or {})
    judge = judge_from(options)
    judged = judge_cases(judge, options["prompt"], cases, cache, options["parallel"])
    return [
        Judgement(answer.id, answer.repeat, answer.budget, correct, reply, reason)
        for answer, (correct, reply, reason) in zip(answers, judged, strict=True)
    ]


if __name__ == "__main__":
    run_stage(main)
