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
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from workflow_scripts.answers.extraction.statements import shown
from workflow_scripts.answers.kinds import right_answer
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
from workflow_scripts.grading.grade_answers import check_complete
from workflow_scripts.grading.judge.client import Client
from workflow_scripts.grading.judge.prompts import PROTOCOLS, Case, compared, stated_in
from workflow_scripts.jobs.stage import run_stage

_SHOWN = 200  # characters of a reply


def judgements(
    problems: Mapping[str, Problem],
    answers: Sequence[Answer],
    job: JudgeJob,
    cache: Path,
    is_asked: bool = True,
) -> list[Judgement]:
    """A judgement for every answer, in their order; without the judge where it is not asked.

    The reason is `judged`; `compared` where the judge has no part in it; or `unreadable`, with no
    verdict, where the reply says none. Raises `InputError` where the endpoint gives up.
    """
    protocol = PROTOCOLS[job.prompt]
    cases = cases_of(problems, answers, job.answer_prefix)
    decided = [protocol.decided(case) if is_asked else compared(case) for case in cases]
    prompts = [
        protocol.ask(case) if verdict is None else None
        for case, verdict in zip(cases, decided, strict=True)
    ]
    replies = _replies(job, [prompt for prompt in prompts if prompt is not None], cache)
    judged = []
    for answer, case, verdict, prompt in zip(answers, cases, decided, prompts, strict=True):
        reply, reason = None, "compared"
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
    """What is judged, in the order of the answers."""
    cases = []
    for answer in answers:
        problem = problems[answer.id]
        choices = [f"{chr(ord('A') + n)}) {said}" for n, said in enumerate(problem.choices or [])]
        cut = answer.trace_finish == "length"
        written = prefix.after_cap if cut else prefix.after_stop
        cases.append(
            Case(
                question="\n".join([problem.question, *choices, *_allowance(problem)]),
                right=right_answer(problem),
                text=answer.text,
                stated=stated_in(written + answer.text),
                is_choice=problem.kind == "choice",
            )
        )
    return cases


def _allowance(problem: Problem) -> Iterator[str]:
    """What an answer may differ by, as a judge is told it."""
    if problem.tolerance:
        yield f"(A number within {problem.tolerance:g} of the correct answer is correct.)"


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
    job = options.options
    is_asked = job.benchmarks is None or options.benchmark.stem in job.benchmarks
    judged = judgements(problems, answers, job, options.cache, is_asked)
    write_records(options.output, judged)


if __name__ == "__main__":
    run_stage(main)
