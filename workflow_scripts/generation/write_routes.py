"""Count which blocks a dynamic variant ran, and where in its traces, from the generation store.

    python -m workflow_scripts.generation.write_routes --model resources/models/reasoner \\
        --variant results/reasoner/skipgpt-25/{mask,weights}.safetensors \\
        results/reasoner/skipgpt-25/mask.json \\
        --benchmarks chains=resources/benchmarks/chains.jsonl \\
        --options '{"budgets": [6, 12], ...}' --store store \\
        --output results/reasoner/skipgpt-25/routes

Everything was decoded before, so that no engine starts. A file for each benchmark.
"""

import argparse
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from workflow_scripts.artefacts.masks import VariantFiles, read_pruned
from workflow_scripts.artefacts.routes import write_routes
from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.generation import GenerationJob
from workflow_scripts.engines.interface import Completion, Request
from workflow_scripts.errors import InputError
from workflow_scripts.generation.job import describe_job
from workflow_scripts.generation.routes import RouteCounter, count_routes
from workflow_scripts.generation.store.completions import Store
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.models.checkpoints import model_digest
from workflow_scripts.models.token_kinds import token_kinds


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of the dense checkpoint")
    parser.add_argument("--variant", required=True, nargs=3, metavar=("MASK", "WEIGHTS", "RECORD"))
    parser.add_argument("--benchmarks", required=True, nargs="+", metavar="NAME=FILE")
    parser.add_argument("--options", required=True, type=json.loads, help="settings as JSON")
    parser.add_argument("--speed", default={}, type=json.loads, help="those of speed alone")
    parser.add_argument("--store", required=True, type=Path, help="folder of the store")
    parser.add_argument("--output", required=True, type=Path, help="folder to write")
    given = parser.parse_args(arguments)
    pruned = read_pruned(VariantFiles(*map(Path, given.variant)), model_digest(given.model))
    if pruned.record.dynamic is None:
        raise InputError(f"{given.variant[2]}: no token of this variant skips anything")
    settings = parser_of(GenerationJob)(json.dumps(given.options | given.speed))
    files = {name: Path(file) for name, file in (b.split("=", 1) for b in given.benchmarks)}
    job = describe_job(given.model, pruned, files, settings)
    largest = settings.budgets[-1]
    kinds = token_kinds(job.tokenizer)
    with closing(Store(given.store, job.identity)) as store:

        def stored(request: Request) -> Completion:
            completion = store.get(request)
            if completion is None:
                raise InputError(
                    f"{given.store}: completions of {given.output.parent} are gone; decode them "
                    "again: snakemake --forcerun generate"
                )
            return completion

        for name, samples in job.benchmarks.items():
            counter = RouteCounter(kinds, pruned.record.blocks, largest)
            count_routes(samples, job.sweep, stored, counter)
            write_routes(given.output / f"{name}.json", counter.record(pruned.digest))


if __name__ == "__main__":
    run_stage(main)
