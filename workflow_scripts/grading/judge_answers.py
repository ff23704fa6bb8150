"""Let a judge say of every answer whether it is correct, beside the deterministic grades.

    JUDGE_API_KEY=... python -m workflow_scripts.grading.judge_answers \\
        --benchmark resources/benchmarks/math500.jsonl \\
        --answers results/s1/dense/answers/math500.jsonl \\
        --options '{"url": "https://...", "model": "...", "prompt": "equivalence", ...}' \\
        --cache judge_store --output results/s1/dense/judgements/math500.jsonl

The key comes from the environment variable that the options name, and is in no file or log.
Replies are kept in the cache; when the endpoint gives up, starting again goes on from there.
"""

import argparse
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from workflow_scripts.artefacts.records import (
    Answer,
    Judgement,
    Problem,
    read_records,
    write_records,
)
from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.judge import JudgeJob
from workflow_scripts.config.thinking import AnswerPrefix
from workflow_scripts.grading.extraction.statements import shown
from workflow_scripts.grading.grade_answers import check_complete, extraction_of, right_answer
from workflow_scripts.grading.judge.client import Client
from workflow_scripts.grading.judge.prompts import PROTOCOLS, Case
from workflow_scripts.jobs.stage import run_stage

_SHOWN = 200  # characters of a reply


def judgements(
    problems: Mapping[str, Problem], answers: Sequence[Answer], job: JudgeJob, cache: Path
) -> list[Judgement]:
    """A judgement for every answer, in their order.

    The reason is `judged`; `digits` where the protocol compares them itself; or `unreadable`, with
    no verdict, where the reply says none. Raises `InputError` where the endpoint gives up.
    """
    protocol = PROTOCOLS[job.prompt]
    cases = cases_of(problems, answers, job.answer_prefix)
    decided = [protocol.decided(case) for case in cases]
    prompts = [
        protocol.ask(case) if verdict is None else None
        for case, verdict in zip(cases, decided, strict=True)
    ]
    replies = _replies(job, [prompt for prompt in prompts if prompt is not None], cache)
    judged = []
    for answer, case, verdict, prompt in zip(answers, cases, decided, prompts, strict=True):
        reply, reason = None, "digits"
        if prompt is not None:
            verdict = protocol.read(replies[prompt], case)
            reply = shown(replies[prompt], _SHOWN)
            reason = "unreadable" if verdict is None else "judged"
        judged.append(Judgement(answer.id, answer.repeat, answer.budget, verdict, reply, reason))
    return judged


def _replies(job: JudgeJob, prompts: Sequence[str], cache: Path) -> dict[str, str]:
    """What the judge replies to each prompt; equal ones are asked once."""
    unique = list(dict.fromkeys(prompts))
    with Client(job) as client, ThreadPoolExecutor(job.parallel) as executor:
        try:
            replies = executor.map(lambda prompt: client.ask(prompt, cache), unique)
            return dict(zip(unique, replies, strict=True))
        except BaseException:
            executor.shutdown(cancel_futures=True)
            raise


def cases_of(
    problems: Mapping[str, Problem], answers: Sequence[Answer], prefix: AnswerPrefix
) -> list[Case]:
    """What is judged, in the order of the answers.

    What was extracted earlier for the same problem and budget goes by repeats, in their order.
    """
    earlier: dict[tuple[str, int], list[str]] = {}
    cases = {}
    for answer in sorted(answers, key=lambda answer: answer.repeat):
        problem = problems[answer.id]
        extracted = extraction_of(problem, answer, prefix).extracted
        before = earlier.setdefault((answer.id, answer.budget), [])
        choices = [f"{chr(ord('A') + n)}) {said}" for n, said in enumerate(problem.choices or [])]
        cases[answer.id, answer.repeat, answer.budget] = Case(
            question="\n".join([problem.question, *choices]),
            right=right_answer(problem),
            text=answer.text,
            extracted=extracted,
            earlier=tuple(before),
        )
        if extracted is not None and extracted not in before:
            before.append(extracted)
    return [cases[answer.id, answer.repeat, answer.budget] for answer in answers]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", required=True, type=Path, help="JSONL file of problems")
    parser.add_argument("--answers", required=True, type=Path, help="JSONL file of answers")
    parser.add_argument(
        "--options", required=True, type=parser_of(JudgeJob), help="the judge, JSON"
    )
    parser.add_argument("--cache", required=True, type=Path, help="folder where replies are kept")
    parser.add_argument("--output", required=True, type=Path, help="JSONL file to write")
    options = parser.parse_args(arguments)
    problems = {problem.id: problem for problem in read_records(options.benchmark, Problem)}
    answers = read_records(options.answers, Answer)
    check_complete(problems, answers, str(options.answers))
    write_records(options.output, judgements(problems, answers, options.options, options.cache))


if __name__ == "__main__":
    run_stage(main)
