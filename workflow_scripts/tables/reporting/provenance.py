"""What a run's numbers come from: models, benchmarks, masks, engines, versions, times and cost."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from workflow_scripts.files.atomic import read_json
from workflow_scripts.files.digests import file_digest
from workflow_scripts.tables.content.cells import Cells
from workflow_scripts.tables.content.formats import Section
from workflow_scripts.tables.content.removals import Removed

LIBRARIES = ("snakemake", "torch", "transformers", "vllm", "numpy", "scipy", "statsmodels",
             "matplotlib")  # fmt: skip


def provenance_sections(
    run: Cells,
    results: Path,
    resources: Path,
    removals: Mapping[tuple[str, str], Removed],
) -> list[Section]:
    """Tables of digests and versions; what is not there has an empty cell."""
    return [
        _models(run, resources),
        _benchmarks(run, resources),
        _masks(run, removals),
        _engines(run, results),
        _versions(),
    ]


def _models(run: Cells, resources: Path) -> Section:
    lines = []
    for model in run.models:
        manifest = _read(resources / "models" / model / "manifest.json")
        source = ", ".join(f"{k}: {v}" for k, v in sorted(manifest.get("source", {}).items()))
        lines.append(
            [model, source, str(manifest.get("revision") or ""), manifest.get("digest", "")]
        )
    return Section(
        "models", "where they come from; digest: sha256 over the files' digests.",
        ["model", "source", "revision", "digest"], lines, frozenset(range(4)),
    )  # fmt: skip


def _benchmarks(run: Cells, resources: Path) -> Section:
    problems = {cell.benchmark: len(cell.correct) for cell in run.cells}
    lines = []
    for benchmark in run.benchmarks:
        path = resources / "benchmarks" / f"{benchmark}.jsonl"
        digest = file_digest(path) if path.exists() else ""
        lines.append([benchmark, str(problems.get(benchmark, "")), digest])
    return Section(
        "benchmarks", "sha256 of the normalised problems.",
        ["benchmark", "problems", "sha256"], lines, frozenset({0, 2}),
    )  # fmt: skip


def _masks(run: Cells, removals: Mapping[tuple[str, str], Removed]) -> Section:
    lines = []
    for model in run.models:
        for variant in run.variants:
            one = removals.get((model, variant))
            found = (
                [f"{one.share:.4f}", ", ".join(map(str, one.blocks)), one.digest]
                if one
                else ["", "", ""]
            )
            lines.append([model, variant, *found])
    return Section(
        "masks",
        "removed: share of all linear weights; digest: sha256 over what is removed.",
        ["model", "variant", "removed", "removed blocks", "digest"],
        lines,
        frozenset({0, 1, 3, 4}),
    )


def _engines(run: Cells, results: Path) -> Section:
    """Every distinct producer of completions, and how many variants' answers it had a part in."""
    used: dict[str, int] = {}
    for model in run.models:
        for variant in run.variants:
            for producer in _read(results / model / variant / "generation.json").get(
                "producers", []
            ):
                text = json.dumps(producer, sort_keys=True)
                used[text] = used.get(text, 0) + 1
    producers = [json.loads(text) for text in used]
    names = sorted({name for producer in producers for name in producer})
    lines = [
        [str(count), *(str(producer.get(name, "")) for name in names)]
        for producer, count in zip(producers, used.values(), strict=True)
    ]
    caption = "what computed the completions, and of how many variants."
    if not producers:
        caption = "no generation.json says what computed the completions."
    return Section(
        "engines", caption, ["variants", *names], lines, frozenset(range(1, len(names) + 1))
    )


def _versions() -> Section:
    lines = [["python", sys.version.split()[0]]]
    for name in LIBRARIES:
        try:
            lines.append([name, version(name)])
        except PackageNotFoundError:
            continue
    return Section(
        "versions", "in the environment that wrote this report.",
        ["package", "version"], lines, frozenset({0, 1}),
    )  # fmt: skip


def run_times(logs: Path, gpus: int) -> Section:
    """Times and memory of each rule's jobs, from what Snakemake measured of them.

    `gpus` is how many a job of `generate` holds. A job that was run again counts once, the last
    time; what came from the store took no time.
    """
    lines = []
    for folder in sorted(path for path in logs.iterdir() if path.is_dir()) if logs.exists() else []:
        measured = [row for path in sorted(folder.rglob("*.tsv")) for row in _tsv(path)]
        if not measured:
            continue
        seconds = [_number(row.get("s")) for row in measured]
        processor = [_number(row.get("cpu_time")) for row in measured]
        memory = [_number(row.get("max_rss")) for row in measured]
        on_gpu = gpus if folder.name.startswith("generate") else 0
        lines.append(
            [
                folder.name,
                str(len(measured)),
                f"{sum(seconds):.0f}",
                f"{max(seconds):.0f}",
                f"{sum(processor) / 3600:.2f}",
                f"{on_gpu * sum(seconds) / 3600:.2f}",
                f"{max(memory):.0f}",
            ]
        )
    caption = "as Snakemake measured the jobs that ran last; seconds are wall time."
    if not lines:
        caption = "no times were measured."
    return Section(
        "run times and cost",
        caption,
        ["rule", "jobs", "seconds", "longest job", "CPU hours", "GPU hours", "peak MiB"],
        lines,
    )


def tokens_section(run: Cells, generation: Mapping[str, Any]) -> Section:
    """How many tokens a run's answers hold, by model: what another engine would have to decode.

    `generation` are its settings. The trace under the largest budget begins with those under the
    smaller ones, unless each budget has traces of its own; in an independent sweep with the paper's
    seeding they are the same all the same, as their seeds are.
    """
    own = generation.get("sweep") == "independent" and generation.get("seeding") != "paper"
    lines = []
    for model in run.models:
        cells = [cell for cell in run.cells if cell.model == model]
        answers = [len(cell.correct) * len(cell.repeats) for cell in cells]
        traces: dict[tuple[Any, ...], float] = {}
        for cell, number in zip(cells, answers, strict=True):
            place = (cell.variant, cell.benchmark, cell.budget if own else None)
            traces[place] = max(traces.get(place, 0.0), cell.trace_tokens * number)
        spoken = sum(c.answer_tokens * n for c, n in zip(cells, answers, strict=True))
        lines.append([model, f"{sum(answers):,}", f"{sum(traces.values()):,.0f}", f"{spoken:,.0f}"])
    under = (
        "under all budgets, each of which has traces of its own"
        if own
        else "under the largest budget, which holds the smaller ones"
    )
    return Section(
        "tokens",
        f"trace tokens {under}; answer tokens under all budgets.",
        ["model", "answers", "trace tokens", "answer tokens"],
        lines,
    )


def _read(path: Path) -> dict[str, Any]:
    record = read_json(path) if path.exists() else {}
    return record if isinstance(record, dict) else {}


def _tsv(path: Path) -> Sequence[Mapping[str, str]]:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _number(text: str | None) -> float:
    """A measurement; 0 where a job was too short for one (`-` or `NA`)."""
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
