"""Write the demo's benchmark and calibration texts; equal bytes on every run and machine.

    python -m workflow_scripts.demo.make_data --benchmark results/demo/benchmarks/chains.jsonl \\
        --calibration results/demo/calibration/chains.jsonl

The benchmark holds held-out problems, the calibration file worked chains as in training (a share of
them cut short). Its rows fill 128 windows of 128 tokens with about half as much to spare.
"""

import argparse
import json
import random
from pathlib import Path

from workflow_scripts.artefacts.records import write_records
from workflow_scripts.demo.chains import benchmark_problems, training_example
from workflow_scripts.files.atomic import write_text
from workflow_scripts.jobs.stage import run_stage

PROBLEMS = 240
CALIBRATION_ROWS = 400
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", type=Path, required=True, help="problems to write, JSONL")
    parser.add_argument("--calibration", type=Path, required=True, help="texts to write, JSONL")
    options = parser.parse_args()
    write_records(options.benchmark, benchmark_problems(PROBLEMS, SEED))
    lines = [json.dumps(row) + "\n" for row in calibration_rows(CALIBRATION_ROWS, SEED)]
    write_text(options.calibration, "".join(lines), checksum=False)


def calibration_rows(count: int, seed: int) -> list[dict[str, str]]:
    """Worked chains as `prompt` (the question) and `completion` (the trace, answer and end)."""
    rng = random.Random(f"calibration {seed}")
    examples = [training_example(rng) for _ in range(count)]
    return [{"prompt": example.question, "completion": example.completion} for example in examples]


if __name__ == "__main__":
    run_stage(main)
