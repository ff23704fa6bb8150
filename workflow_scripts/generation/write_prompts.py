"""Write every prompt as a model would get it, without an engine.

    python -m workflow_scripts.generation.write_prompts --model resources/models/reasoner \\
        --benchmarks chains=resources/benchmarks/chains.jsonl \\
        --options '{"budgets": [6, 12], ...}' --output results/reasoner/prompts

A file for each benchmark, a line for each problem: its id, how many tokens the prompt has, and its
text, with what the chat template writes around the question and with the opening of the thinking.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.generation import GenerationJob
from workflow_scripts.files.atomic import write_text
from workflow_scripts.generation.job import what_is_asked
from workflow_scripts.generation.prompts import shown
from workflow_scripts.jobs.stage import run_stage


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of the dense checkpoint")
    parser.add_argument("--benchmarks", required=True, nargs="+", metavar="NAME=FILE")
    parser.add_argument("--options", required=True, help="settings of generation, as JSON")
    parser.add_argument("--output", required=True, type=Path, help="folder to write")
    given = parser.parse_args(arguments)
    files = {name: Path(file) for name, file in (b.split("=", 1) for b in given.benchmarks)}
    asked = what_is_asked(given.model, files, parser_of(GenerationJob)(given.options))
    for name, found in asked.prompts.items():
        rows = (shown(asked.tokenizer, problem, ids) for problem, ids in found.items())
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_text(given.output / f"{name}.jsonl", lines)


if __name__ == "__main__":
    run_stage(main)
