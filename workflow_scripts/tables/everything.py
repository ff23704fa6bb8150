"""All tables, figures and the report at once, of a run that need not be complete.

    python -m workflow_scripts.tables.everything --results results --resources resources \
        --logs logs --config results/config.json --reference dense \
        --models reasoner --variants dense wanda-20 --benchmarks chains --output so_far

Made from the files that are there, into `so_far/tables`, `so_far/figures` and `so_far/report.html`;
what is missing, or under other budgets or with other repeats than the config's, stands at the top
of the report and in the tables' captions. A figure of which nothing is there is left out.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from workflow_scripts.files.atomic import read_json
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables import (
    accuracy_table,
    allocation_plot,
    block_scores_plot,
    collect_cells,
    comparison_table,
    difference_plot,
    parallel_plot,
    parallel_table,
    published_table,
    report,
    scaling_curves,
    sparsity_curves,
)
from workflow_scripts.tables.content.cell_files import load_cells
from workflow_scripts.tables.content.cells import Cells

FORMS = {"markdown": "md", "latex": "tex", "html": "html"}


def build(options: argparse.Namespace) -> None:
    """Make all of it, below `options.output`."""
    tables, figures = options.output / "tables", options.output / "figures"
    cells = tables / "cells.jsonl"
    names = [
        *("--models", *options.models),
        *("--variants", *options.variants),
        *("--benchmarks", *options.benchmarks),
    ]
    generation = (read_json(options.config) if options.config else {}).get("generation", {})
    if "budgets" in generation:
        names += ["--budgets", *map(str, generation["budgets"])]
    if "repeats" in generation:
        names += ["--repeats", str(generation["repeats"])]
    collect_cells.main(["--results", str(options.results), *names, "--output", str(cells)])
    run = load_cells(cells)
    _build_tables(options, tables, cells)
    drawn = list(_build_figures(options, run, tables, figures))
    report.main(
        [
            *("--tables", str(tables), "--results", str(options.results)),
            *("--resources", str(options.resources), "--logs", str(options.logs)),
            *(("--config", str(options.config)) if options.config else ()),
            *("--reference", options.reference),
            *("--figures", *map(str, drawn)),
            *("--output", str(options.output / "report.html")),
        ]
    )


def _build_tables(options: argparse.Namespace, tables: Path, cells: Path) -> None:
    common = ["--cells", str(cells)]
    masks = ["--results", str(options.results), "--reference", options.reference]

    def written(name: str, **more: str) -> list[str]:
        names = {"csv": f"{name}.csv"} | {flag: f"{name}.{end}" for flag, end in FORMS.items()}
        return [word for k, v in (names | more).items() for word in (f"--{k}", str(tables / v))]

    accuracy_table.main([*common, *written("accuracy", mean="mean_accuracy.csv")])
    comparison_table.main([*common, *masks, *written("comparison", areas="areas.csv")])
    parallel_table.main([*common, *written("parallel")])
    published_table.main(
        [
            *(*common, *masks),
            *("--comparison", str(tables / "comparison.csv")),
            *written("published", claims="claims.csv"),
        ]
    )


def _build_figures(
    options: argparse.Namespace, run: Cells, tables: Path, figures: Path
) -> Iterator[Path]:
    """Draw what can be drawn; the SVG file of every figure."""

    def draw(stage, name: str, *flags: str) -> Path:
        svg, png = (figures / f"{name}.{form}" for form in ("svg", "png"))
        stage.main([*flags, "--svg", str(svg), "--png", str(png)])
        return svg

    accuracy, masks = str(tables / "accuracy.csv"), str(options.results)
    for model in run.models:
        records = {
            variant: path
            for variant in run.variants
            if (path := options.results / model / variant / "mask.json").exists()
        }
        pruned = set(records) - {options.reference}
        for benchmark in run.benchmarks:
            cells = [c for c in run.cells if (c.model, c.benchmark) == (model, benchmark)]
            variants = {cell.variant for cell in cells}
            under = {c.budget for c in cells if c.variant == options.reference}
            compared = any(c.budget in under for c in cells if c.variant != options.reference)
            at, name = ["--model", model, "--benchmark", benchmark], f"{model}/{benchmark}"
            if not cells:
                continue
            table = ["--table", accuracy, *at, "--reference", options.reference]
            yield draw(scaling_curves, f"scaling_curves/{name}", *table)
            yield draw(scaling_curves, f"token_curves/{name}", *table, "--against", "tokens")
            if compared:
                differences = ["--table", str(tables / "comparison.csv"), *at]
                yield draw(difference_plot, f"differences/{name}", *differences)
            if len(cells[0].repeats) > 1:
                together = ["--table", str(tables / "parallel.csv"), *at]
                yield draw(parallel_plot, f"parallel/{name}", *together)
            if pruned & variants:
                yield draw(sparsity_curves, f"sparsity/{name}", *table, "--results", masks)
        flags = ["--variants", *records, "--records", *map(str, records.values())]
        if records:
            yield draw(allocation_plot, f"allocation/{model}", "--model", model, *flags)
        for kind, folder, pattern in (
            ("statistics", "block_influence", "*.safetensors"),
            ("influence", "influence", "*.json"),
        ):
            for path in sorted((options.results / model / kind).glob(pattern)):
                about = ["--model", model, "--set", path.stem, f"--{kind}", str(path)]
                about += flags if kind == "statistics" else []
                yield draw(block_scores_plot, f"{folder}/{model}/{path.stem}", *about)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("results", "resources", "logs"):
        parser.add_argument(f"--{name}", required=True, type=Path, help=f"folder of the {name}")
    parser.add_argument("--config", type=Path, help="the config of what was run, a JSON file")
    parser.add_argument("--reference", default="dense", help="the variant without pruning")
    for name in ("models", "variants", "benchmarks"):
        parser.add_argument(f"--{name}", required=True, nargs="+", help=f"{name}, in table order")
    parser.add_argument("--output", required=True, type=Path, help="folder to write")
    build(parser.parse_args(arguments))


if __name__ == "__main__":
    run_stage(main)
