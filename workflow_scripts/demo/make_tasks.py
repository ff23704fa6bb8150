"""Write the data of the demo's tasks; equal bytes on every run and machine.

    python -m workflow_scripts.demo.make_tasks --next-step results/demo/tasks/next-step.jsonl \\
        --result results/demo/tasks/result.jsonl --answer results/demo/tasks/answer.jsonl

All are made of held-out chains. A row of `next-step` has a trace up to somewhere and four steps, of
which one follows; the others are right as sums and start from another result, or take another
operation or digit. A row of `result` has a trace up to the result of one of its steps, and that
digit; one of `answer` a question and its answer.
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.artefacts.records import Problem
from workflow_scripts.demo.chains import (
    DIGITS,
    OPERATIONS,
    STEP_TOKENS,
    apply_operation,
    benchmark_problems,
    chain_of,
    trace_and_answer,
)
from workflow_scripts.files.atomic import write_text
from workflow_scripts.jobs.stage import run_stage

SAMPLES, SEED = 400, 1


def next_steps(problems: Sequence[Problem], seed: int) -> Iterator[dict[str, Any]]:
    """A trace cut before one of its steps, and that step among three that do not follow."""
    chance = random.Random(f"next-step {seed}")
    for problem in problems:
        before, left, operation, digit, _ = _cut(problem, chance)
        others = {
            (_other(left, DIGITS, chance), operation, digit),
            (left, _other(operation, OPERATIONS, chance), digit),
            (left, operation, _other(digit, DIGITS, chance)),
        }
        steps = [_step(*parts) for parts in sorted({(left, operation, digit), *others})]
        yield {
            "question": problem.question,
            "trace": before,
            "steps": steps,
            "right": steps.index(_step(left, operation, digit)),
        }


def results(problems: Sequence[Problem], seed: int) -> Iterator[dict[str, Any]]:
    """A trace cut before the result of one of its steps, and that digit."""
    chance = random.Random(f"result {seed}")
    for problem in problems:
        before, left, operation, digit, result = _cut(problem, chance)
        trace = f"{before}{left}{operation}{digit}="
        yield {"question": problem.question, "trace": trace, "right": result}


def answers(problems: Sequence[Problem]) -> Iterator[dict[str, Any]]:
    """Questions and their answers."""
    return ({"question": one.question, "answer": one.answer} for one in problems)


def _cut(problem: Problem, chance: random.Random) -> tuple[str, int, str, int, int]:
    """The trace before one of its steps, and the step: left, operation, digit, result."""
    trace, _ = trace_and_answer(chain_of(problem.question))
    place = int(chance.random() * (len(trace) // STEP_TOKENS)) * STEP_TOKENS
    left, operation, digit, _, result, _ = trace[place : place + STEP_TOKENS]
    return trace[:place], int(left), operation, int(digit), int(result)


def _other(one: Any, of: str, chance: random.Random) -> Any:
    """Another digit or operation."""
    others = [type(one)(other) for other in of if type(one)(other) != one]
    return others[int(chance.random() * len(others))]


def _step(left: int, operation: str, digit: int) -> str:
    return f"{left}{operation}{digit}={apply_operation(left, operation, digit)};"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for flag in ("--next-step", "--result", "--answer"):
        parser.add_argument(flag, type=Path, required=True, help="samples to write, JSONL")
    given = parser.parse_args()
    problems = benchmark_problems(SAMPLES, SEED)
    _write(given.next_step, next_steps(problems, SEED))
    _write(given.result, results(problems, SEED))
    _write(given.answer, answers(problems))


def _write(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    write_text(path, "".join(f"{json.dumps(row)}\n" for row in rows), checksum=False)


if __name__ == "__main__":
    run_stage(main)
