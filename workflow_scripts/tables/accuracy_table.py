"""The accuracy of every model and variant on every benchmark under every budget.

    python -m workflow_scripts.tables.accuracy_table --cells results/tables/cells.jsonl \
        --csv results/tables/accuracy.csv --mean results/tables/mean_accuracy.csv \
        --markdown results/tables/accuracy.md --latex results/tables/accuracy.tex \
        --html results/tables/accuracy.html

The CSV has a row for every cell: accuracy and interval as fractions, token counts as means over
answers; mean_accuracy.csv has the means over benchmarks. Markdown, LaTeX and HTML show a table for
every model and benchmark, and one for the mean where there are several benchmarks.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.files.atomic import write_text
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.content.cell_files import load_cells
from workflow_scripts.tables.content.cells import Cell, benchmark_of
from workflow_scripts.tables.content.formats import (
    Section,
    count,
    html_page,
    latex,
    markdown,
    missing_note,
)
from workflow_scripts.tables.content.rows import MeanRow, Row, csv_text
from workflow_scripts.tables.statistics.intervals import (
    Estimate,
    estimate_accuracy,
    mean_of_estimates,
)


def row_of_cell(cell: Cell) -> Row:
    """A cell's numbers, with the statistics of `intervals.estimate_accuracy`."""
    estimate = estimate_accuracy(cell.matrix)
    return Row(
        model=cell.model,
        variant=cell.variant,
        benchmark=cell.benchmark,
        budget=cell.budget,
        problems=len(cell.correct),
        repeats=len(cell.repeats),
        accuracy=estimate.accuracy,
        se=estimate.se,
        ci_low=estimate.low,
        ci_high=estimate.high,
        trace_tokens=cell.trace_tokens,
        answer_tokens=cell.answer_tokens,
    )


def mean_rows(rows: Sequence[Row]) -> list[MeanRow]:
    """The unweighted means over benchmarks, where a variant has a budget on all of them."""
    benchmarks = len({row.benchmark for row in rows})
    groups: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.model, row.variant, row.budget), []).append(row)
    means = []
    for key, members in groups.items():
        if len(members) < benchmarks:
            continue
        estimates = [Estimate(row.accuracy, row.se, row.ci_low, row.ci_high) for row in members]
        mean = mean_of_estimates(estimates)
        tokens = [
            sum(getattr(row, name) for row in members) / len(members)
            for name in ("trace_tokens", "answer_tokens")
        ]
        means.append(
            MeanRow(*key, benchmarks, mean.accuracy, mean.se, mean.low, mean.high, *tokens)
        )
    return means


def sections(
    rows: Sequence[Row], means: Sequence[MeanRow] = (), missing: Sequence[str] = ()
) -> list[Section]:
    """A section for every model and benchmark in the order of the rows, then the means."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.model, row.benchmark), []).append(row)
    made = []
    for (model, benchmark), members in groups.items():
        size = f"{count(members[0].problems, 'problem')} × {count(members[0].repeats, 'repeat')}"
        lacks = [name for name in missing if benchmark_of(name) == (model, benchmark)]
        made.append(_section(f"{model} on {benchmark}", size, members, lacks))
    for model in dict.fromkeys(mean.model for mean in means):
        members = [mean for mean in means if mean.model == model]
        if members[0].benchmarks > 1:
            size = f"unweighted mean of {members[0].benchmarks} benchmarks"
            made.append(_section(f"{model}, mean over benchmarks", size, members, ()))
    return made


def _section(
    title: str, size: str, rows: Sequence[Row | MeanRow], missing: Sequence[str]
) -> Section:
    budgets = sorted({row.budget for row in rows})
    cells = {(row.variant, row.budget): _cell_text(row) for row in rows}
    return Section(
        title=title,
        caption=(
            f"accuracy by budget (thinking tokens). {size}; "
            f"± reaches to the farther end of the 95 % interval.{missing_note(missing)}"
        ),
        header=["variant", *map(str, budgets)],
        lines=[
            [variant, *(cells.get((variant, budget), "") for budget in budgets)]
            for variant in dict.fromkeys(row.variant for row in rows)
        ],
    )


def _cell_text(row: Row | MeanRow) -> str:
    reach = max(row.accuracy - row.ci_low, row.ci_high - row.accuracy)
    return f"{row.accuracy:.2f} ± {reach:.2f}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", required=True, type=Path, help="what collect_cells wrote")
    for name in ("csv", "mean", "markdown", "latex", "html"):
        parser.add_argument(f"--{name}", required=True, type=Path, help="table to write")
    options = parser.parse_args(arguments)
    run = load_cells(options.cells)
    rows = [row_of_cell(cell) for cell in run.cells]
    means = mean_rows(rows)
    tables = sections(rows, means, run.missing)
    write_text(options.csv, csv_text(rows))
    write_text(options.mean, csv_text(means, MeanRow))
    write_text(options.markdown, markdown(tables))
    write_text(options.latex, latex(tables))
    write_text(options.html, html_page("Accuracy", tables))


if __name__ == "__main__":
    run_stage(main)
