"""What a run's numbers come from: models, benchmarks, masks, engines, versions, times and cost."""

import json
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.artefacts.generation_records import (
    GenerationRecord,
    read_generation_record,
)
from workflow_scripts.files.atomic import read_json
from workflow_scripts.files.digests import file_digest
from workflow_scripts.tables.content.decoding import DECODING, decoded_by_jobs
from workflow_scripts.tables.content.formats import Section
from workflow_scripts.tables.content.removals import Masks
from workflow_scripts.tables.content.screened_out import dropped

LIBRARIES = (
    "snakemake", "torch", "transformers", "vllm", "numpy", "scipy", "pandas", "statsmodels",
    "matplotlib", "lm-eval",
)  # fmt: skip


def sections(
    cells: pd.DataFrame,
    results: Path,
    resources: Path,
    logs: Sequence[Path],
    masks: Masks,
    config: Mapping[str, Any],
) -> list[Section]:
    """Tables of times, tokens, digests and versions; what is not there has an empty cell."""
    run, generation = cells.attrs, config.get("generation", {})
    gpus = generation.get("tensor_parallel", 1) if generation.get("device") == "cuda" else 0
    screen = config.get("run", {}).get("screen", {})
    is_screened = screen.get("keep", "all") != "all"
    shared_by = generation.get("shards", 1), config.get("run", {}).get("variants_per_engine", 1)
    return [
        run_times(logs, gpus, max(shared_by) > 1),
        speeds(logs[-1], run),
        tokens(cells, generation),
        _models(run, resources),
        _benchmarks(cells, resources),
        _masks(run, masks),
        engines(run, results, dropped(results, run["models"], is_screened)),
        _versions(),
    ]


def _section(title: str, caption: str, rows: list[dict[str, Any]], *left: str) -> Section:
    frame = pd.DataFrame(rows).fillna("").astype(str)
    return Section(title, caption, frame, frozenset(left))


def run_times(logs: Sequence[Path], gpus: int, is_shared: bool = False) -> Section:
    """Times and memory of each rule's jobs, from what Snakemake measured of them.

    `gpus` is how many a job that decodes holds: of `generate`, unless decoding `is_shared` out to
    jobs of the other rules. A job that was run again counts once, the last time; what came from the
    store took no time. The last folder of `logs` is that of the run, from which alone its decoding
    is counted.
    """
    rows = []
    of_others = {folder / rule for folder in logs[:-1] for rule in DECODING}
    folders = {path for folder in logs for path in folder.glob("*") if path.is_dir()}
    for folder in sorted(folders - of_others, key=lambda path: path.name):
        files = [pd.read_csv(path, sep="\t") for path in sorted(folder.rglob("*.tsv"))]
        if not files:
            continue
        # a job that was too short to be measured has `-` or `NA`
        measured = pd.concat(files).reindex(columns=["s", "cpu_time", "max_rss"])
        measured = measured.apply(pd.to_numeric, errors="coerce").fillna(0.0)
        from_store = folder.name == "generate" and is_shared
        on_gpu = gpus if folder.name.startswith("generate") and not from_store else 0
        rows.append(
            {
                "rule": folder.name,
                "jobs": len(measured),
                "seconds": f"{measured['s'].sum():.0f}",
                "longest job": f"{measured['s'].max():.0f}",
                "CPU hours": f"{measured['cpu_time'].sum() / 3600:.2f}",
                "GPU hours": f"{on_gpu * measured['s'].sum() / 3600:.2f}",
                "peak MiB": f"{measured['max_rss'].max():.0f}",
            }
        )
    caption = "as Snakemake measured the jobs that ran last; seconds are wall time."
    return _section("run times and cost", caption if rows else "no times were measured.", rows)


def speeds(logs: Path, run: Mapping[str, Any]) -> Section:
    """How fast each job decoded, by the last line that it says of that in its log.

    Jobs that took everything from the store have none.
    """
    rows = decoded_by_jobs(logs, run)
    caption = (
        "of what each job decoded itself, with what else ran beside it. Variants think for "
        "different lengths: for the speed of a checkpoint, measure it (benchmarks.export_speed)."
        if rows
        else "no log says how fast anything was decoded."
    )
    named = [{"tokens/s" if k == "speed" else k: v for k, v in row.items()} for row in rows]
    return _section("speed of generation", caption, named, "variant", "part")


def tokens(cells: pd.DataFrame, generation: Mapping[str, Any]) -> Section:
    """How many tokens a run's answers hold, by model: what another engine would have to decode.

    `generation` are its settings. The trace under the largest budget begins with those under the
    smaller ones, unless each budget has traces of its own; in an independent sweep with the paper's
    seeding they are the same all the same, as their seeds are.
    """
    own = generation.get("sweep") == "independent" and generation.get("seeding") != "paper"
    rows = []
    for model, of_model in cells.groupby("model", sort=False):
        sums = of_model.groupby(["variant", "benchmark", "budget"])["trace_tokens"].sum()
        traces = sums.sum() if own else sums.groupby(["variant", "benchmark"]).max().sum()
        rows.append(
            {
                "model": model,
                "answers": f"{len(of_model):,}",
                "trace tokens": f"{traces:,}",
                "answer tokens": f"{of_model['answer_tokens'].sum():,}",
            }
        )
    under = (
        "under all budgets, each of which has traces of its own"
        if own
        else "under the largest budget, which holds the smaller ones"
    )
    return _section("tokens", f"trace tokens {under}; answer tokens under all budgets.", rows)


def _models(run: Mapping[str, Any], resources: Path) -> Section:
    rows = []
    for model in run["models"]:
        manifest = _read(resources / "models" / model / "manifest.json")
        source = ", ".join(f"{k}: {v}" for k, v in sorted(manifest.get("source", {}).items()))
        known = {key: manifest.get(key) for key in ("revision", "digest")}
        rows.append({"model": model, "source": source, **known})
    caption = "where they come from; digest: sha256 over the files' digests."
    return _section("models", caption, rows, "source", "revision", "digest")


def _benchmarks(cells: pd.DataFrame, resources: Path) -> Section:
    problems = cells.groupby("benchmark")["id"].nunique()
    rows = []
    for benchmark in cells.attrs["benchmarks"]:
        path = resources / "benchmarks" / f"{benchmark}.jsonl"
        digest = file_digest(path) if path.exists() else ""
        size = problems.get(benchmark, "")
        rows.append({"benchmark": benchmark, "problems": size, "sha256": digest})
    return _section("benchmarks", "sha256 of the normalised problems.", rows, "sha256")


def _masks(run: Mapping[str, Any], masks: Masks) -> Section:
    rows = []
    for place in ((model, variant) for model in run["models"] for variant in run["variants"]):
        row = dict(zip(("model", "variant"), place, strict=True))
        if place in masks:
            mask = masks[place]
            row["requested"] = f"{mask.requested:.4f}"
            row["removed"] = f"{mask.removed_fraction:.4f}"
            row["of all"] = f"{mask.removed_of_all:.4f}"
            row["removed blocks"] = ", ".join(map(str, mask.removed_blocks))
            row["digest"] = mask.digest
        rows.append(row)
    caption = (
        "requested: the share asked for; removed: that of the blocks' linear weights; of all: that "
        "of all parameters; digest: sha256 over what is removed."
    )
    return _section("masks", caption, rows, "variant", "removed blocks", "digest")


def engines(
    run: Mapping[str, Any], results: Path, out: Collection[tuple[str, str]] = ()
) -> Section:
    """Every distinct engine that completions came from, and of how many variants: not of those that
    were screened `out`.
    """
    used = Counter(
        json.dumps(one, sort_keys=True)
        for model, variant in product(run["models"], run["variants"])
        if (model, variant) not in out
        for one in _generation(results / model / variant).producers
    )
    rows = [{"variants": number, **json.loads(text)} for text, number in used.items()]
    caption = "what computed the completions, and of how many variants."
    if not rows:
        caption = "no generation.json says what computed the completions."
    return _section("engines", caption, rows, *(name for row in rows for name in row))


def prompts(
    run: Mapping[str, Any], results: Path, config: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """What each model was given for the first problem of each benchmark, as generation noted it.

    All variants of a model get the same prompts.
    """
    for model, benchmark in product(run["models"], run["benchmarks"]):
        for variant in run["variants"]:
            noted = _generation(results / model / variant).prompts
            if benchmark in noted:
                named = config.get("benchmarks", {}).get(benchmark, {}).get("prompt")
                origin = config.get("prompts", {}).get(named, {}).get("origin", "")
                place = {"model": model, "benchmark": benchmark, "origin": origin}
                yield place | noted[benchmark]
                break


def _versions() -> Section:
    rows = [{"package": "python", "version": sys.version.split()[0]}]
    for name in LIBRARIES:
        try:
            rows.append({"package": name, "version": version(name)})
        except PackageNotFoundError:
            continue
    caption = "in the environment that wrote this report."
    return _section("versions", caption, rows, "version")


def _generation(variant: Path) -> GenerationRecord:
    path = variant / "generation.json"
    return read_generation_record(path) if path.exists() else GenerationRecord()


def _read(path: Path) -> dict[str, Any]:
    record = read_json(path) if path.exists() else {}
    return record if isinstance(record, dict) else {}
