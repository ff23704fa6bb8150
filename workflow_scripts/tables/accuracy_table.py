"""The accuracy of every model and variant on every benchmark under every budget.

    python -m workflow_scripts.tables.accuracy_table --results results --models reasoner \
        --variants dense wanda-20 --benchmarks chains \
        --csv results/tables/accuracy.csv --markdown results/tables/accuracy.md

The CSV has a row for every cell: accuracy and interval as fractions, token counts as means over
answers. The Markdown shows a table for every model and benchmark.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from workflow_scripts.errors import run_stage
from workflow_scripts.files import write_text
from workflow_scripts.tables.accuracy_rows import Row, csv_text
from workflow_scripts.tables.cells import Cell, read_cells
from workflow_scripts.tables.intervals import estimate_accuracy


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


def markdown_text(rows: Sequence[Row]) -> str:
    """A Markdown table for every model and benchmark: variants down, budgets across."""
    groups = dict.fromkeys((row.model, row.benchmark) for row in rows)
    return "\n".join(
        _group_text([row for row in rows if (row.model, row.benchmark) == group])
        for group in groups
    )


def _group_text(rows: Sequence[Row]) -> str:
    budgets = sorted({row.budget for row in rows})
    cells = {(row.variant, row.budget): _cell_text(row) for row in rows}
    lines = [
        [variant, *(cells.get((variant, budget), "") for budget in budgets)]
        for variant in dict.fromkeys(row.variant for row in rows)
    ]
    table = tabulate(
        lines,
        headers=["variant", *map(str, budgets)],
        tablefmt="pipe",
        colalign=["left", *["right"] * len(budgets)],
        disable_numparse=True,
    )
    row = rows[0]
    caption = (
        f"**{row.model} on {row.benchmark}**: accuracy by budget (thinking tokens). "
        f"{_count(row.problems, 'problem')} × {_count(row.repeats, 'repeat')}; "
        "± reaches to the farther end of the 95 % interval."
    )
    return f"{caption}\n\n{table}\n"


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
    options = parser.parse_args(arguments)
    cells = read_cells(options.results, options.models, options.variants, options.benchmarks)
    rows = [row_of_cell(cell) for cell in cells]
    write_text(options.csv, csv_text(rows))
    write_text(options.markdown, markdown_text(rows))


if __name__ == "__main__":
    run_stage(main)
