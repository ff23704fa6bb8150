"""Generate: let one pruned model think under every budget, and answer.

    python -m workflow_scripts.generation.generate --model resources/models/reasoner \\
        --variant results/reasoner/wanda-20/{mask,weights}.safetensors \\
        results/reasoner/wanda-20/mask.json \\
        --benchmarks chains=resources/benchmarks/chains.jsonl \\
        --options '{"budgets": [6, 12], ...}' --store store --output results/reasoner/wanda-20 \\
        --provenance results/reasoner/wanda-20/generation.json

One engine start serves all benchmarks, repeats and budgets. Every completion goes to the store as
soon as it is finished; what is there already is not generated again, and where nothing is missing
no engine starts. At the end the traces and answers of each benchmark are written from the store;
with `--sequences` also the token ids of prompt, trace and answer together, for calibration on them.
Without a variant it is the dense model that thinks.

With `--shard 2-of-4` only the second of four parts of the problems is decoded, and nothing written
but the provenance. Such jobs may run at once; when all have ended, `--from-store` writes what an
undivided job would, without an engine. With `--variants`, folders, several variants are decoded one
after another, with one engine where it can take their weights; again only the provenance of each is
written.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from workflow_scripts.artefacts.generation_records import GenerationRecord
from workflow_scripts.artefacts.masks import (
    Pruned,
    VariantFiles,
    nothing_pruned,
    read_pruned,
    variant_files,
)
from workflow_scripts.config.entry import parser_of, plain
from workflow_scripts.config.generation import GenerationJob
from workflow_scripts.engines.fingerprint import fingerprint_of
from workflow_scripts.engines.interface import Engine
from workflow_scripts.engines.start import OneEngine
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import write_json
from workflow_scripts.files.digests import value_digest
from workflow_scripts.generation.job import Job, describe_job
from workflow_scripts.generation.outputs import write_outputs
from workflow_scripts.generation.progress import Progress, message_writer, warnings_told
from workflow_scripts.generation.prompts import shown
from workflow_scripts.generation.store.completions import Store
from workflow_scripts.generation.sweep import needed, run_sweep
from workflow_scripts.generation.thinking import put_between
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.models.checkpoints import model_digest, open_checkpoint


def main() -> None:
    given, engine = _parse_arguments(), OneEngine()
    variants = {folder.name: variant_files(folder) for folder in given.variants}
    if variants:
        said = {name: _generate(given, name, files, engine) for name, files in variants.items()}
    else:
        said = _generate(given, given.output.name, given.variant, engine)
    write_json(given.provenance, said)


def _generate(
    given: argparse.Namespace, variant: str, files: Sequence[str | Path] | None, engine: OneEngine
) -> dict[str, Any]:
    """Decode what a variant lacks and write what is asked for; what the results come from."""
    # those that change speed alone come apart: nothing reruns for them
    settings = parser_of(GenerationJob)(json.dumps(given.options | given.speed))
    label = f"{given.model.name}/{variant}"
    part = f"{label} {given.shard}" if given.shard else label
    tell = message_writer(part, given.terminal_fd)
    pruned = _pruned(given.model, files)
    benchmarks = dict(entry.split("=", 1) for entry in given.benchmarks)
    job = describe_job(given.model, pruned, {k: Path(v) for k, v in benchmarks.items()}, settings)
    if given.shard:
        job = job.shard(*map(int, given.shard.split("-of-")))

    with closing(Store(given.store, job.identity, label)) as store:
        if _is_something_missing(job, store, tell):
            if given.from_store:
                raise InputError(
                    f"{given.store}: completions of {label} are gone that other jobs decoded; "
                    "decode them again: snakemake --forcerun generate_shard generate_variants"
                )
            with warnings_told(tell):
                _decode(given.model, pruned, job, store, engine, tell)
        if not (given.shard or given.variants):
            decode, sequences = job.tokenizer.decode, given.sequences
            for name, group in job.benchmarks.items():
                write_outputs(given.output, name, group, job.sweep, store, decode, sequences)
        return _provenance(settings, job, store)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of the dense checkpoint")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--variant", nargs=3, metavar=("MASK", "WEIGHTS", "RECORD"), help="the dense model without"
    )
    chosen.add_argument(
        "--variants", nargs="+", default=[], type=Path, metavar="FOLDER",
        help="decode several, and no more",
    )  # fmt: skip
    parser.add_argument("--benchmarks", required=True, nargs="+", metavar="NAME=FILE")
    parser.add_argument("--options", required=True, type=json.loads, help="settings as JSON")
    parser.add_argument("--speed", default={}, type=json.loads, help="those of speed alone")
    parser.add_argument("--store", required=True, type=Path, help="folder of the store")
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--shard", metavar="I-of-N", help="decode this part, from 1, and no more")
    parts.add_argument("--from-store", action="store_true", help="all was decoded: start no engine")
    parser.add_argument("--sequences", action="store_true", help="write sequences/ as well")
    parser.add_argument("--output", type=Path, help="folder for what is written of one variant")
    parser.add_argument("--provenance", required=True, type=Path, help="what the results come from")
    parser.add_argument("--terminal-fd", type=int, help="say progress on this descriptor as well")
    given = parser.parse_args()
    if not (given.output or given.variants):
        parser.error("one variant needs --output")
    return given


def _pruned(model: Path, files: Sequence[str | Path] | None) -> Pruned:
    digest = model_digest(model)
    if files is None:
        return nothing_pruned(digest, open_checkpoint(model).blocks)
    return read_pruned(VariantFiles(*map(Path, files)), digest)


def _is_something_missing(job: Job, store: Store, tell: Callable[[str], None]) -> bool:
    """Whether the store lacks something; what it has and what is decoded again is told."""
    there = missing = again = 0
    for request in needed(job.sweep, job.samples, store.get):
        is_there = store.has(request)
        there, missing = there + is_there, missing + (not is_there)
        again += store.was_cut_earlier(request)
    if again:
        tell(
            f"{again} of the stored completions were cut by a smaller cap than they have now; they "
            "are decoded again from their start, since going on from a prefill would round "
            "differently"
        )
    if not missing:
        tell(f"all {there} completions are in the store; no engine starts")
    return missing > 0


def _decode(
    model: Path,
    pruned: Pruned,
    job: Job,
    store: Store,
    engine: OneEngine,
    tell: Callable[[str], None],
) -> None:
    """Bring what is missing into the store."""
    progress = Progress(tell)

    def start() -> Engine:
        found = engine.on(model, pruned, job.engine, len(job.tokenizer), job.longest, tell)
        store.write_as(fingerprint_of(job.engine))
        progress.start()
        return found

    run_sweep(job.sweep, job.samples, store, start, progress)
    progress.finish()


def _provenance(settings: GenerationJob, job: Job, store: Store) -> dict[str, Any]:
    """What the results come from, and how long the prompts were."""
    requests = needed(job.sweep, job.samples, store.get)
    producers = {value_digest(p): p for p in map(store.fingerprint_of, requests)}
    return GenerationRecord(
        generator=job.identity,
        settings=plain(settings),
        producers=[producers[digest] for digest in sorted(producers)],
        prompts={
            name: shown(job.tokenizer, group[0].problem, group[0].prompt)
            for name, group in job.benchmarks.items()
        },
        prompt_tokens={
            name: {sample.problem: len(sample.prompt) for sample in group}
            for name, group in job.benchmarks.items()
        },
        put_between=put_between(job.sweep.thinking),
        date=job.day,
    ).as_json()


if __name__ == "__main__":
    run_stage(main)
