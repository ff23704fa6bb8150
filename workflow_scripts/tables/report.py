"""The report of a run: one HTML file with everything, that needs no network.

    python -m workflow_scripts.tables.report --tables results/tables --results results \
        --resources resources --logs logs --config results/config.json \
        --options '{"reference": "dense"}' \
        --figures results/figures/scaling_curves/reasoner/chains.svg ... \
        --output results/report.html

Tables are made from the CSV files, figures are those named. What is not there is listed at the top
and left out.
"""

import argparse
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.config.references import Citations
from workflow_scripts.files.atomic import read_json, write_text
from workflow_scripts.files.checksums import verify_checksum
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.all_figures import FIGURES
from workflow_scripts.tables.all_tables import TABLES
from workflow_scripts.tables.content import (
    accuracy,
    cost,
    diagnosis_text,
    frontier_text,
    onset_text,
    pair_text,
    parallel,
    published,
    recovered_text,
    routes_text,
    screening_text,
    size,
    task_claims,
    tasks_text,
)
from workflow_scripts.tables.content.columns import COLUMNS
from workflow_scripts.tables.content.comparison_text import area_sections, full_sections
from workflow_scripts.tables.content.formats import Section, page, with_limits
from workflow_scripts.tables.content.removals import Masks, read_masks
from workflow_scripts.tables.content.samples import FILE as SAMPLES
from workflow_scripts.tables.content.screened_out import with_screened_out
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.content.task_scores import FILE as SCORES
from workflow_scripts.tables.content.task_scores import load_task_scores
from workflow_scripts.tables.content.traces import FILE as TRACES_FILE
from workflow_scripts.tables.entries import TASKS, TRACES
from workflow_scripts.tables.figure_places import filled_in
from workflow_scripts.tables.reporting import provenance
from workflow_scripts.tables.reporting.cautions import cautions
from workflow_scripts.tables.reporting.findings import (
    heat_maps,
    of_diagnosis,
    of_pair,
    of_prices,
    of_routes,
    of_tasks,
    sentences,
)
from workflow_scripts.tables.reporting.methods_text import methods_paragraphs
from workflow_scripts.tables.statistics.verdicts import RELEVANT

NO_ANSWERS = ("pruning", "tasks", "screening")  # parts that limits of benchmarks do not concern
SHOWN = [name for name in COLUMNS if not name.startswith("judge")]


def write(
    source: Source,
    resources: Path,
    logs: Sequence[Path],
    config: Mapping[str, Any],
    figures: Sequence[Path],
    output: Path,
) -> None:
    """Write the page; `figures` are SVG files in folders named after their entries.

    `logs` are the folders of logs: that of all runs, and that of this one if it has a name.
    """
    cells, reference = source.cells(), source.reference
    run, citations = cells.attrs, Citations()
    tables = [name for name in SHOWN if _is_told(name, source)]
    there = {name: name in tables and (source.tables / f"{name}.csv").exists() for name in SHOWN}
    rows = {
        name: source.table(name) if there[name] else pd.DataFrame(columns=COLUMNS[name])
        for name in SHOWN
    }
    drawn: dict[str, list[dict[str, str]]] = {}
    for path in filter(Path.exists, figures):
        name, *place = _place(path)
        of_part = drawn.setdefault(FIGURES[name].part, [])
        figure = _figure(path, name, place, reference)
        explained = any(one["name"] == name for one in of_part)  # once for all of a kind
        of_part.append(figure | {"caption": ""} if explained else figure)
    masks = read_masks(source.shared, run["models"], run["variants"])
    text = page(
        "report.html.j2",
        run=run,
        name=config.get("run", {}).get("name", ""),
        answers=len(cells),
        missing=[
            *(f"grades of {name}" for name in run["missing"]),
            *(f"results of tasks of {name}" for name in _missing_tasks(source)),
            *(f"table {name}.csv" for name in tables if not there[name]),
            *(f"figure {path}" for path in figures if not path.exists()),
        ],
        methods=methods_paragraphs(
            cells,
            config,
            rows["comparison"],
            citations,
            source.limits,
            source.options.get("pair"),
            rows["tasks"],
            not rows["frontier"].empty,
        ),
        reference=reference,
        samples=(source.tables / SAMPLES).exists(),
        departures=(source.tables / TRACES_FILE).exists(),
        relevant=RELEVANT,
        findings=[
            *sentences(rows["comparison"], rows["accuracy"], reference),
            *of_prices(rows["frontier"], reference),
            *of_diagnosis(rows["diagnosis"]),
            *of_pair(rows["pair"]),
            *of_tasks(rows["tasks"], reference),
            *of_routes(rows["routes"], rows["routes_by_block"], masks),
        ],
        cautions=[*cautions(cells, rows["comparison"], rows["diagnosis"], reference)],
        heat_maps=[*heat_maps(rows["comparison"])],
        titles={
            "accuracy": "Accuracy",
            "comparison": f"Difference to {reference}",
            "cost": "Accuracy for a price",
            "diagnosis": "Where accuracy is lost",
            "pair": "Instruct and think",
            "tasks": "Tasks",
            "recovery": "Training after pruning",
            "routes": "What tokens skip",
            "screening": "Screening",
            "parallel": "Sequential and parallel scaling",
            "pruning": "What is pruned",
            "claims": "Published claims",
            "published": "Beside the published values",
        },
        drawn=drawn,
        sections={
            name: found
            if name in NO_ANSWERS
            else with_screened_out(with_limits(found, source.limits), source.choices())
            for name, found in _sections(
                rows, masks, reference, run["missing"], source.options.get("task_limits", {})
            ).items()
        },
        provenance=provenance.sections(cells, source.results, resources, logs, masks, config),
        prompts=list(provenance.prompts(run, source.results, config)),
        config=json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False),
        references=list(citations.lines()),
    )
    write_text(output, text)


def _missing_tasks(source: Source) -> list[str]:
    """What the run is to hold of tasks, if any, and does not."""
    there = TASKS in source.options and (source.tables / SCORES).exists()
    return load_task_scores(source.tables).attrs["missing"] if there else []


def _is_told(table: str, source: Source) -> bool:
    """Whether a run has what a table is about; of a companion, what that with its name is about."""
    entry = next((e for name, e in TABLES.items() if table in (name, *e.also)), None)
    if entry is None:
        return True
    has_traces = TRACES not in entry.reads or (source.tables / TRACES_FILE).exists()
    return has_traces and (entry.needs is None or entry.needs in source.options)


def _sections(
    rows: Mapping[str, pd.DataFrame],
    masks: Masks,
    reference: str,
    missing: Sequence[str],
    limits: Mapping[str, int],
) -> dict[str, list[Section]]:
    claims, of_budgets = rows["claims"], rows["parallel"]
    of_tasks = task_claims.sections(rows["task_claims"])
    return {
        "claims": ([] if claims.empty else [published.claim_section(claims)]) + of_tasks,
        "accuracy": [*accuracy.sections(rows["accuracy"], rows["mean_accuracy"], masks, missing)],
        "comparison": [
            *area_sections(rows["areas"], reference),
            *full_sections(rows["comparison"], reference, missing),
            *onset_text.sections(rows["onset"], rows["onset_slopes"], missing),
        ],
        "cost": [
            *frontier_text.sections(rows["frontier"], reference, missing),
            *cost.sections(rows["cost"], missing),
        ],
        "diagnosis": [
            *diagnosis_text.sections(
                rows["diagnosis"],
                rows["diagnosis_lengths"],
                rows["diagnosis_difficulty"],
                reference,
                missing,
            )
        ],
        "pair": [*pair_text.full_sections(rows["pair"], missing)],
        "tasks": [*tasks_text.full_sections(rows["tasks"], reference, limits)],
        "recovery": [*recovered_text.sections(rows["recovered"], reference, missing)],
        "routes": [
            *routes_text.sections(rows["routes"], rows["routes_by_kind"], reference, missing)
        ],
        "parallel": [] if of_budgets.empty else [*parallel.sections(of_budgets, missing)],
        "published": [*published.sections(rows["published"], missing)],
        "screening": [*screening_text.sections(rows, reference)],
        "pruning": [*size.sections(rows["size"], reference)],
    }


def _place(figure: Path) -> tuple[str, ...]:
    """A figure's path, without its ending, below the last folder that is called `figures`."""
    parts = figure.with_suffix("").parts
    return parts[len(parts) - parts[::-1].index("figures") :]


def _figure(path: Path, name: str, place: list[str], reference: str) -> dict[str, str]:
    verify_checksum(path)
    entry = FIGURES[name]
    wildcards = dict(zip(entry.wildcards, place, strict=True))
    return {
        "name": name,
        "alt": " ".join([name.replace("_", " "), *place]),
        "title": filled_in(entry.title, wildcards, reference),
        "caption": filled_in(entry.caption, wildcards, reference),
        "data": b64encode(path.read_bytes()).decode("ascii"),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("tables", "results", "resources"):
        parser.add_argument(f"--{name}", required=True, type=Path, help=f"folder of the {name}")
    parser.add_argument("--logs", required=True, nargs="+", type=Path, help="folders of logs")
    parser.add_argument("--config", required=True, type=Path, help="the config of what was run")
    parser.add_argument("--options", required=True, type=json.loads, help="JSON, see Source")
    parser.add_argument("--figures", nargs="*", default=[], type=Path, help="SVG files")
    parser.add_argument("--output", required=True, type=Path, help="page to write")
    given = parser.parse_args(arguments)
    source = Source(given.results, given.tables, given.options)
    config = read_json(given.config)
    write(source, given.resources, given.logs, config, given.figures, given.output)


if __name__ == "__main__":
    run_stage(main)
