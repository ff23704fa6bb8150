"""All tables, figures and the report at once, of a run that need not be complete.

    python -m workflow_scripts.tables.everything --results results --resources resources \
        --logs logs --config results/config.json --output so_far --options \
        '{"reference": "dense", "ways": [...], "models": ["reasoner"], "variants": ["dense", ...],
        "benchmarks": ["chains"], "calibration": ["chains"], "influence": [], "variant": []}'

Made from the files that are there, into `so_far/tables`, `so_far/figures` and `so_far/report.html`;
what is missing, or under other budgets or with other repeats than the config's, is named at the top
of the report and in the tables' captions. A figure of which nothing is there is left out.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from workflow_scripts.files.atomic import read_json
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.jobs.workers import mapping
from workflow_scripts.tables import catalogue, plot, report, table
from workflow_scripts.tables.all_figures import FIGURES
from workflow_scripts.tables.all_tables import TABLES
from workflow_scripts.tables.collect_traces import collect
from workflow_scripts.tables.content.cells import FILE, load_cells, read_cells, write_cells
from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.content.departures import FILE as DEPARTURES_FILE
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.content.task_scores import FILE as SCORES_FILE
from workflow_scripts.tables.content.task_scores import read_task_scores, write_task_scores
from workflow_scripts.tables.content.traces import FILE as TRACES_FILE
from workflow_scripts.tables.entries import SCREENING, SOME, TASKS, Figure, Table
from workflow_scripts.tables.plot import Drawing

TABLES_FOLDER = "{run}/tables/"
LISTS = ("models", "variants", "benchmarks")
OF_WHOLE_RUNS = ("judge_agreement",)  # tables that want every file that they are made from


def build(
    results: Path,
    resources: Path,
    logs: Sequence[Path],
    config: Mapping[str, Any],
    options: Mapping[str, Any],
    output: Path,
    workers: int = 1,
) -> None:
    """Make all of it, below `output`; `workers` processes read the traces and draw."""
    tables, names = output / "tables", {key: options[key] for key in LISTS}
    generation = config.get("generation", {})
    design = {key: generation[key] for key in ("budgets", "repeats") if key in generation}
    drops = options.get(SCREENING, {}).get("drops", False)
    write_cells(tables / FILE, read_cells(results, **names, **design, drops=drops))
    if "diagnosis" in options and any(_trace_files(results, names)):
        files = tables / TRACES_FILE, output / DEPARTURES_FILE
        collect(results, resources, load_cells(tables), options, workers, *files)
    if TASKS in options:
        scores = read_task_scores(
            results, options["models"], options["variants"], options[TASKS], drops
        )
        write_task_scores(tables / SCORES_FILE, scores)
    for_tables = ("reference", "limits", "shared", "ways", SCREENING, *SOME, *LISTS)
    told = {key: options[key] for key in for_tables if key in options}
    source = Source(results, tables, told | {"resources": str(resources / "models")})
    for name, entry in TABLES.items():
        is_told = entry.needs is None or entry.needs in options
        is_told &= _is_there(entry, source)
        if is_told and name not in OF_WHOLE_RUNS:
            table.make(name, source)
    drawn = []
    with mapping(workers, __spec__.name) as run:
        figures = [*_figures(source, options, output / "figures")]
        for one, why_not in zip(figures, run(_draw, figures), strict=True):
            if why_not:
                print(f"not drawn: {one.name}: {why_not}")
            else:
                drawn.append(one.outputs[0])
    report.write(source, resources, logs, config, drawn, output / "report.html")


def _trace_files(results: Path, names: Mapping[str, Sequence[str]]) -> Iterator[bool]:
    """Whether there is each file of traces: without any, nothing is told of traces."""
    for model, variant, benchmark in product(*(names[name] for name in LISTS)):
        yield (results / model / variant / "traces" / f"{benchmark}.jsonl").exists()


def _is_there(entry: Table | Figure, source: Source) -> bool:
    """Whether the tables are there that another or a figure is made from; some need traces."""
    names = [path.removeprefix(TABLES_FOLDER) for path in entry.reads if TABLES_FOLDER in path]
    return all((source.tables / name).exists() for name in names)


def _figures(source: Source, options: Mapping[str, Any], figures: Path) -> Iterator[Drawing]:
    """Every figure of which there are the tables."""
    wanted = ("reference", "ways", "shared", SCREENING, *SOME)
    shared = {key: options[key] for key in wanted if key in options}
    every = {
        "model": options["models"],
        "benchmark": options["benchmarks"],
        **{name: options[name] for name in ("calibration", "influence", "variant")},
    }
    for name, entry in FIGURES.items():
        if entry.needs is not None and entry.needs not in options:
            continue
        if not _is_there(entry, source):
            continue
        told = catalogue.kind_options(name, catalogue.values_of(name, every), shared)
        yield from plot.drawings(entry.module, replace(source, options=told), figures / name)


def _draw(one: Drawing) -> str:
    """Draw a figure; why it cannot be, where there is nothing to draw."""
    try:
        plot.make(one.module, one.source, one.outputs)
    except NoRows as error:
        return str(error)
    return ""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("results", "resources"):
        parser.add_argument(f"--{name}", required=True, type=Path, help=f"folder of the {name}")
    parser.add_argument("--logs", required=True, nargs="+", type=Path, help="folders of logs")
    parser.add_argument("--config", required=True, type=Path, help="the config of what was run")
    parser.add_argument("--options", required=True, type=json.loads, help="JSON, see above")
    parser.add_argument("--output", required=True, type=Path, help="folder to write")
    parser.add_argument("--workers", type=int, default=1, help="processes that read and draw")
    given = parser.parse_args(arguments)
    config = read_json(given.config)
    folders = given.results, given.resources, given.logs
    build(*folders, config, given.options, given.output, given.workers)


if __name__ == "__main__":
    run_stage(main)
