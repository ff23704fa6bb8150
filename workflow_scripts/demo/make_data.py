"""Write the demo's problems and texts; equal bytes on every run and machine.

    python -m workflow_scripts.demo.make_data --benchmark results/demo/benchmarks/chains.jsonl \\
        --training-benchmark results/demo/benchmarks/chains-training.jsonl \\
        --calibration results/demo/calibration/chains.jsonl \\
        --with-steps results/demo/calibration/chains-with-steps.jsonl \\
        --without-steps results/demo/calibration/chains-without-steps.jsonl

The benchmark holds held-out problems, the other one problems from the training side, which models
answer for calibration sets of their own traces. The calibration file holds worked chains as in
training (a share of them cut short). Its rows fill 128 windows of 128 tokens with about half as
much to spare.

The two others hold what the reasoner and the answerer were trained on: the first problems that both
met and whose traces were not cut. A row with a cut trace would have a model stop thinking anywhere,
which in training has no loss: see `train.batch_tensors`.
"""

import argparse
import json
import random
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from workflow_scripts.artefacts.records import write_records
from workflow_scripts.demo.chains import (
    KINDS,
    Example,
    benchmark_problems,
    training_example,
    training_examples,
    training_problems,
)
from workflow_scripts.files.atomic import write_text
from workflow_scripts.jobs.stage import run_stage

PROBLEMS = 240
TRAINING_PROBLEMS = 320  # one answer to each has more than 128 windows of 128 tokens
CALIBRATION_ROWS = 400
TRAINING_ROWS = 4000  # of the 32,000 of training
SEED = 0
# the flags of training texts, and whose they are
FILES = {"--with-steps": "reasoner", "--without-steps": "answerer"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", type=Path, required=True, help="problems to write, JSONL")
    parser.add_argument(
        "--training-benchmark", type=Path, required=True, help="problems of the training side"
    )
    parser.add_argument("--calibration", type=Path, required=True, help="texts to write, JSONL")
    for flag, kind in FILES.items():
        text = f"training texts of the {kind} to write, JSONL"
        parser.add_argument(flag, type=Path, required=True, dest=kind, help=text)
    options = parser.parse_args()
    write_records(options.benchmark, benchmark_problems(PROBLEMS, SEED))
    write_records(options.training_benchmark, training_problems(TRAINING_PROBLEMS, SEED))
    write_rows(options.calibration, calibration_rows(CALIBRATION_ROWS, SEED))
    for kind in FILES.values():
        write_rows(getattr(options, kind), training_rows(kind, TRAINING_ROWS, SEED))


def calibration_rows(count: int, seed: int) -> list[dict[str, str]]:
    """Worked chains as `prompt` (the question) and `completion` (the trace, answer and end)."""
    rng = random.Random(f"calibration {seed}")
    return rows_of(training_example(rng) for _ in range(count))


def training_rows(kind: str, count: int, seed: int) -> list[dict[str, str]]:
    """The first whole chains that a model of a kind was trained on, as prompts and completions."""
    whole = (example for example in training_examples(seed) if not example.cut)
    return rows_of(map(KINDS[kind], islice(whole, count)))


def rows_of(examples: Iterable[Example]) -> list[dict[str, str]]:
    return [{"prompt": example.question, "completion": example.completion} for example in examples]


def write_rows(path: Path, rows: Iterable[dict[str, str]]) -> None:
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows), checksum=False)


if __name__ == "__main__":
    run_stage(main)
