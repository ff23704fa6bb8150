"""Beside what a user would take instead, in one run of half an hour: see `make benchmarks`.

    python -m benchmarks.peers --peer .venv/peer/bin/python

- pruning: a bare forward pass of transformers; llm-compressor in its own environment
- generation: `model.generate`, and vLLM's `LLM.generate` where it is installed
- planning: a Snakemake workflow of nothing but the same jobs
- grading: math-verify, on the right answers of --answers written in 21 ways

What is measured and how stands in the module of each part. Models come with the project or with
the package of `make smollm2`; nothing is fetched. Ratios of one run compare, seconds of two do not.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.paths import PROJECT

MODELS = {name: f"resources/models/{name}" for name in ("reasoner", "smollm2")}
BENCHMARKS = {name: PROJECT / f"bundled/benchmarks/{name}.jsonl" for name in ("chains", "sums")}
ENGINE = '{"batch_size": 8, "threads": 2, "budgets": [32]}'
REASONER_ENGINE = '{"batch_size": 32, "threads": 1, "budgets": [72], "answer_tokens": 8}'


def parts(peer: Path | None, answers: Sequence[Path]) -> dict[str, list[object]]:
    """The command line of every part, after `python -m`."""
    smollm2 = [
        *("--name", "smollm2", "--model", MODELS["smollm2"], "--generation", ENGINE),
        *("--benchmark", BENCHMARKS["sums"], "--configfile", "config/smollm2.yaml"),
    ]
    reasoner = [
        *("--model", MODELS["reasoner"], "--generation", REASONER_ENGINE),
        *("--benchmark", BENCHMARKS["chains"]),
    ]
    engine = ["benchmarks.generation_speed", "--parts", "engine", "--rounds", 3]
    pruning = ["benchmarks.pruning_speed", "--model", MODELS["smollm2"], "--rounds", 1]
    return {
        "pruning, SmolLM2-135M": [*pruning, *(["--peer", peer] if peer else [])],
        "decoding, SmolLM2-135M, batch 8, 2 threads": [*engine, *smollm2],
        "decoding, the demo's reasoner, batch 32, 1 thread": [*engine, *reasoner],
        "planning": ["benchmarks.scale", "dag", "--variants", 100],
        "grading": ["benchmarks.grading", "forms", *answers],
        "grading, hostile answers": ["benchmarks.grading", "hostile", "--workers", 2],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", type=Path, help="python of an environment with llm-compressor")
    parser.add_argument("--answers", type=Path, nargs="+", default=[*BENCHMARKS.values()])
    options = parser.parse_args(arguments)
    fetched = [f"{folder}/manifest.json" for folder in MODELS.values()]
    run("snakemake", "--cores", 2, *fetched, "--configfile", "config/smollm2.yaml")
    for name, command in parts(options.peer and options.peer.absolute(), options.answers).items():
        print(f"\n## {name}\n", flush=True)
        run(*command)


def run(*command: object) -> None:
    """Run a module from the project's folder; what it prints is shown as it comes."""
    subprocess.run([sys.executable, "-m", *map(str, command)], cwd=PROJECT, check=True)


if __name__ == "__main__":
    main()
