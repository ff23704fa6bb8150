"""The report of a run: one HTML file with everything, that needs no network.

    python -m workflow_scripts.tables.report --tables results/tables --results results \
        --resources resources --logs logs --config results/config.json --reference dense \
        --figures results/figures/scaling_curves/reasoner/chains.svg ... \
        --output results/report.html

Tables are made from the CSV files, figures are those named. What is not there is listed at the top
and left out.
"""

import argparse
import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from workflow_scripts.files.atomic import read_json, write_text
from workflow_scripts.files.checksums import verify_checksum
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables import accuracy_table, parallel_table, published_table
from workflow_scripts.tables.content import formats as forms
from workflow_scripts.tables.content.cell_files import load_cells
from workflow_scripts.tables.content.cells import Cells
from workflow_scripts.tables.content.comparison_text import area_sections, full_sections
from workflow_scripts.tables.content.formats import Section, html_sections
from workflow_scripts.tables.content.removals import read_removed
from workflow_scripts.tables.content.rows import (
    AreaRow,
    ComparisonRow,
    MeanRow,
    ParallelRow,
    Row,
    read_rows,
)
from workflow_scripts.tables.paper.claims import Claim
from workflow_scripts.tables.published_table import PublishedRow, claim_section
from workflow_scripts.tables.reporting.methods_text import methods_paragraphs
from workflow_scripts.tables.reporting.provenance import (
    provenance_sections,
    run_times,
    tokens_section,
)
from workflow_scripts.tables.reporting.references import Citations

STYLE = """
nav { position: sticky; top: 0; background: #fff; border-bottom: 1px solid #ddd; padding: .5rem 0;
  z-index: 2; overflow-x: auto; white-space: nowrap; }
nav a { margin-right: 1rem; color: #005a8e; text-decoration: none; }
h1 { font-size: 1.5rem; margin: 1rem 0 .2rem; }
.part > h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; scroll-margin-top: 3rem; }
.part section h2 { font-size: 1rem; }
.missing { border-left: 4px solid #d55e00; padding: .3rem .8rem; background: #fdf3ec; }
.methods p, .references { max-width: 46rem; }
figure { margin: 1rem 0; display: inline-block; max-width: 100%; vertical-align: top; }
figure img { max-width: 100%; height: auto; width: 34rem; }
pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; font-size: 13px; }
summary { cursor: pointer; }
.claims td, .provenance td { white-space: normal; overflow-wrap: anywhere; min-width: 6.5rem; }
.claims td:first-child, .claims td:last-child { min-width: 12rem; }
@media (max-width: 40rem) {
  body { padding: 0 .6rem; font-size: 14px; }
  table { font-size: 12px; } th, td { padding: .2rem .45rem; }
  th:first-child, td:first-child { position: static; }
}
"""

# by the folder of a figure: the part of the report that it belongs to
PARTS = {
    "scaling_curves": "accuracy",
    "token_curves": "accuracy",
    "differences": "comparison",
    "parallel": "parallel",
    "sparsity": "pruning",
    "allocation": "pruning",
    "block_influence": "pruning",
    "influence": "pruning",
}
TABLES: dict[str, type] = {
    "accuracy.csv": Row,
    "mean_accuracy.csv": MeanRow,
    "comparison.csv": ComparisonRow,
    "areas.csv": AreaRow,
    "parallel.csv": ParallelRow,
    "published.csv": PublishedRow,
    "claims.csv": Claim,
}


def report_html(
    run: Cells,
    rows: Mapping[str, Sequence[Any]],
    figures: Sequence[Path],
    missing: Sequence[str],
    config: Mapping[str, Any],
    reference: str,
    provenance: Sequence[Section],
) -> str:
    """The page. `rows` maps the names of the tables to their rows, `figures` are SVG files."""
    citations = Citations()
    families: dict[str, int] = {}
    for row in rows["comparison.csv"]:
        families[row.family] = families.get(row.family, 0) + 1
    methods = methods_paragraphs(run, config, list(families.values()), citations)
    drawn: dict[str, list[str]] = {}
    for path in figures:
        drawn.setdefault(PARTS[_kind(path)], []).append(_figure(path))
    tables = _tables(run, rows, reference)
    parts = {
        "methods": "".join(f"<p>{escape(text)}</p>\n" for text in methods),
        **{
            name: "".join(drawn.get(name, []))
            + (html_sections(tables[name]) if tables[name] else "")
            for name in ("claims", "accuracy", "comparison", "parallel", "published", "pruning")
        },
        "provenance": html_sections(provenance) + _config(config),
        "references": _references(citations),
    }
    titles = {
        "methods": "Methods",
        "claims": "Published claims",
        "accuracy": "Accuracy",
        "comparison": f"Against {reference}",
        "parallel": "Longer or several times",
        "published": "Beside the published values",
        "pruning": "What is pruned",
        "provenance": "Where it comes from",
        "references": "References",
    }
    shown = {name: body for name, body in parts.items() if body}
    links = "".join(f'<a href="#{name}">{escape(titles[name])}</a>' for name in shown)
    bodies = "".join(
        f'<div class="part {name}" id="{name}"><h2>{escape(titles[name])}</h2>\n{body}</div>\n'
        for name, body in shown.items()
    )
    answers = sum(len(cell.correct) * len(cell.repeats) for cell in run.cells)
    summary = (
        f"{forms.count(len(run.models), 'model')}, {forms.count(len(run.variants), 'variant')}, "
        f"{forms.count(len(run.benchmarks), 'benchmark')}; {answers:,} graded answers."
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(', '.join(run.models))}: pruning and thinking</title>\n"
        f"<style>{forms.STYLE}{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>Does pruning hurt the thinking of {escape(', '.join(run.models))}?</h1>\n"
        f"<p>{escape(summary)}</p>\n{_missing(missing)}<nav>{links}</nav>\n{bodies}"
        f"<script>{forms.SCRIPT}</script>\n</body>\n</html>\n"
    )


def _tables(
    run: Cells, rows: Mapping[str, Sequence[Any]], reference: str
) -> dict[str, list[Section]]:
    accuracy, parallel, published = (
        rows[f"{name}.csv"] for name in ("accuracy", "parallel", "published")
    )
    claims = rows["claims.csv"]
    return {
        "claims": [claim_section(claims)] if claims else [],
        "accuracy": accuracy_table.sections(accuracy, rows["mean_accuracy.csv"], run.missing),
        "comparison": [
            *area_sections(rows["areas.csv"], reference),
            *full_sections(rows["comparison.csv"], [], reference, run.missing),
        ],
        "parallel": parallel_table.sections(parallel, run.missing) if parallel else [],
        "published": published_table.sections(published, run.missing) if published else [],
        "pruning": [],
    }


def _kind(figure: Path) -> str:
    """The folder below `figures` that a figure is in, which says what it shows."""
    return _place(figure)[0]


def _place(figure: Path) -> tuple[str, ...]:
    """A figure's path below the last folder that is called `figures`."""
    parts = figure.parts
    return parts[len(parts) - parts[::-1].index("figures") :]


def _figure(path: Path) -> str:
    verify_checksum(path)
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    name = " ".join([*_place(path)[:-1], path.stem]).replace("_", " ")
    return (
        f'<figure><img alt="{escape(name)}" loading="lazy" '
        f'src="data:image/svg+xml;base64,{data}"></figure>\n'
    )


def _missing(missing: Sequence[str]) -> str:
    if not missing:
        return ""
    lines = "".join(f"<li>{escape(name)}</li>" for name in missing)
    return f'<div class="missing"><p>This run is not complete. Missing:</p><ul>{lines}</ul></div>\n'


def _config(config: Mapping[str, Any]) -> str:
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
    return (
        "<details><summary>The config, with its defaults</summary>\n"
        f"<pre>{escape(text)}</pre></details>\n"
    )


def _references(citations: Citations) -> str:
    lines = "".join(f"<li>{escape(line)}</li>\n" for line in citations.lines())
    return f"<ol>{lines}</ol>"


def _read_tables(folder: Path) -> Iterator[tuple[str, list[Any]]]:
    for name, kind in TABLES.items():
        path = folder / name
        yield name, read_rows(path, kind) if path.exists() else []


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", required=True, type=Path, help="folder of the tables")
    parser.add_argument("--results", required=True, type=Path, help="folder of the results")
    parser.add_argument("--resources", required=True, type=Path, help="folder of the resources")
    parser.add_argument("--logs", required=True, type=Path, help="folder of the jobs' logs")
    parser.add_argument("--config", type=Path, help="the config of what was run, a JSON file")
    parser.add_argument("--reference", default="dense", help="the variant without pruning")
    parser.add_argument("--figures", nargs="*", default=[], type=Path, help="SVG files")
    parser.add_argument("--output", required=True, type=Path, help="page to write")
    options = parser.parse_args(arguments)
    run = load_cells(options.tables / "cells.jsonl")
    rows = dict(_read_tables(options.tables))
    missing = [f"grades of {name}" for name in run.missing]
    missing += [f"table {name}" for name in TABLES if not (options.tables / name).exists()]
    missing += [f"figure {path}" for path in options.figures if not path.exists()]
    config = read_json(options.config) if options.config else {}
    generation = config.get("generation", {})
    gpus = generation.get("tensor_parallel", 1) if generation.get("device") == "cuda" else 0
    removals = read_removed(options.results, run.models, run.variants)
    provenance = [
        run_times(options.logs, gpus),
        tokens_section(run, generation),
        *provenance_sections(run, options.results, options.resources, removals),
    ]
    figures = [path for path in options.figures if path.exists()]
    page = report_html(run, rows, figures, missing, config, options.reference, provenance)
    write_text(options.output, page)


if __name__ == "__main__":
    run_stage(main)
