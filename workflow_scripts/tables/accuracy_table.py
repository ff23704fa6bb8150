"""The accuracy of every model and variant on every benchmark under every budget.

    python -m workflow_scripts.tables.accuracy_table --results results --models reasoner \
        --variants dense wanda-20 --benchmarks chains \
        --csv results/tables/accuracy.csv --markdown results/tables/accuracy.md \
        --html results/tables/accuracy.html

The CSV has a row for every cell: accuracy and interval as fractions, token counts as means over
answers. Markdown and HTML show a table for every model and benchmark.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from tabulate import tabulate

from workflow_scripts.errors import run_stage
from workflow_scripts.files import write_text
from workflow_scripts.tables.accuracy_rows import Row, csv_text
from workflow_scripts.tables.cells import Cell, read_cells
from workflow_scripts.tables.intervals import estimate_accuracy

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Accuracy</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; margin: 2rem; }}
h2 {{ font-size: 1.1rem; }}
p::first-letter {{ text-transform: uppercase; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .3rem .9rem; border-bottom: 1px solid #ddd; white-space: nowrap; }}
th:first-child {{ text-align: left; }}
thead th {{ border-bottom: 2px solid #666; }}
</style>
{body}</html>
"""


def row_of_cell(cell: Cell) -> Row:
    """A cell's numbers, with the statistics of `intervals.estimate_accuracy`."""
    estimate = estimate_accuracy(list(cell.correct.values()))
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


@dataclass(frozen=True)
class Section:
    """The table of one model and benchmark: variants down, budgets across."""

    title: str
    caption: str
    header: list[str]
    lines: list[list[str]]


def sections(rows: Sequence[Row]) -> list[Section]:
    """A section for every model and benchmark, in the order of the rows."""
    groups = dict.fromkeys((row.model, row.benchmark) for row in rows)
    return [_section([r for r in rows if (r.model, r.benchmark) == group]) for group in groups]


def _section(rows: Sequence[Row]) -> Section:
    budgets = sorted({row.budget for row in rows})
    cells = {(row.variant, row.budget): _cell_text(row) for row in rows}
    row = rows[0]
    return Section(
        title=f"{row.model} on {row.benchmark}",
        caption=(
            "accuracy by budget (thinking tokens). "
            f"{_count(row.problems, 'problem')} × {_count(row.repeats, 'repeat')}; "
            "± reaches to the farther end of the 95 % interval."
        ),
        header=["variant", *map(str, budgets)],
        lines=[
            [variant, *(cells.get((variant, budget), "") for budget in budgets)]
            for variant in dict.fromkeys(row.variant for row in rows)
        ],
    )


def markdown_text(rows: Sequence[Row]) -> str:
    """The sections as Markdown."""
    return "\n".join(
        f"**{section.title}**: {section.caption}\n\n{_table(section, 'pipe')}\n"
        for section in sections(rows)
    )


def html_text(rows: Sequence[Row]) -> str:
    """The sections as one HTML page that needs nothing else."""
    bodies = [
        f"<h2>{escape(section.title)}</h2>\n<p>{escape(section.caption)}</p>\n"
        f"{_table(section, 'html')}\n"
        for section in sections(rows)
    ]
    return PAGE.format(body="".join(bodies))


def _table(section: Section, form: str) -> str:
    return tabulate(
        section.lines,
        headers=section.header,
        tablefmt=form,
        colalign=["left", *["right"] * (len(section.header) - 1)],
        disable_numparse=True,
    )


def _cell_text(row: Row) -> str:
    reach = max(row.accuracy - row.ci_low, row.ci_high - row.accuracy)
    return f"{row.accuracy:.2f} ± {reach:.2f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", required=True, type=Path, help="folder of the results")
    for name in ("models", "variants", "benchmarks"):
        parser.add_argument(f"--{name}", required=True, nargs="+", help=f"{name}, in table order")
    parser.add_argument("--csv", required=True, type=Path, help="table to write")
    parser.add_argument("--markdown", required=True, type=Path, help="table to write")
    parser.add_argument("--html", required=True, type=Path, help="table to write")
    options = parser.parse_args(arguments)
    cells = read_cells(options.results, options.models, options.variants, options.benchmarks)
    rows = [row_of_cell(cell) for cell in cells]
    write_text(options.csv, csv_text(rows))
    write_text(options.markdown, markdown_text(rows))
    write_text(options.html, html_text(rows))


if __name__ == "__main__":
    run_stage(main)
