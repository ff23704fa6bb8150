"""What several repeats are worth together: pass@k and majority@k under every budget.

    python -m workflow_scripts.tables.parallel_table --cells results/tables/cells.jsonl \
        --csv results/tables/parallel.csv --markdown results/tables/parallel.md \
        --latex results/tables/parallel.tex --html results/tables/parallel.html

The CSV has a row for every cell and k from 1 to the repeats; the other forms show the largest k.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from workflow_scripts.files.atomic import write_text
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.content.cell_files import load_cells
from workflow_scripts.tables.content.cells import Cell
from workflow_scripts.tables.content.formats import (
    Section,
    count,
    html_page,
    latex,
    markdown,
    missing_note,
)
from workflow_scripts.tables.content.rows import ParallelRow, csv_text
from workflow_scripts.tables.statistics.intervals import estimate_accuracy, estimate_mean
from workflow_scripts.tables.statistics.parallel import majority_at_every_k, pass_at_k

APART = (
    "Wrong answers are told apart as they are written, so that majority@k is an upper bound where "
    "answers are expressions."
)


def rows_of_cell(cell: Cell) -> list[ParallelRow]:
    """A row for every k. At k = 1 both rates are the accuracy, with its own interval."""
    rows = []
    majorities = np.array(
        [majority_at_every_k(right, cell.extracted[name]) for name, right in cell.correct.items()]
    )
    for k in range(1, len(cell.repeats) + 1):
        if k == 1:
            passed = majority = estimate_accuracy(cell.matrix)
        else:
            passed = estimate_mean(pass_at_k(cell.matrix, k))
            majority = estimate_mean(majorities[:, k - 1])
        rows.append(
            ParallelRow(
                cell.model, cell.variant, cell.benchmark, cell.budget, k,
                k * (cell.trace_tokens + cell.answer_tokens),
                passed.accuracy, passed.low, passed.high,
                majority.accuracy, majority.low, majority.high,
            )
        )  # fmt: skip
    return rows


def sections(rows: Sequence[ParallelRow], missing: Sequence[str] = ()) -> list[Section]:
    """A section for every model and benchmark: variants down, budgets across."""
    largest = max(row.k for row in rows)
    groups: dict[tuple[str, str], list[ParallelRow]] = {}
    for row in rows:
        if row.k == largest:
            groups.setdefault((row.model, row.benchmark), []).append(row)
    made = []
    for (model, benchmark), members in groups.items():
        budgets = sorted({row.budget for row in members})
        cells = {
            (row.variant, row.budget): f"{row.pass_at_k:.2f} / {row.majority_at_k:.2f}"
            for row in members
        }
        made.append(
            Section(
                title=f"{model} on {benchmark}: {count(largest, 'repeat')} together",
                caption=(
                    f"pass@{largest} / majority@{largest} by budget (thinking tokens of one "
                    "repeat): the chance that one of them is right, and that their commonest "
                    f"answer is. {APART}{missing_note(missing)}"
                ),
                header=["variant", *map(str, budgets)],
                lines=[
                    [variant, *(cells.get((variant, budget), "") for budget in budgets)]
                    for variant in dict.fromkeys(row.variant for row in members)
                ],
            )
        )
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", required=True, type=Path, help="what collect_cells wrote")
    for name in ("csv", "markdown", "latex", "html"):
        parser.add_argument(f"--{name}", required=True, type=Path, help="table to write")
    options = parser.parse_args(arguments)
    run = load_cells(options.cells)
    rows = [row for cell in run.cells for row in rows_of_cell(cell)]
    tables = sections(rows, run.missing)
    write_text(options.csv, csv_text(rows, ParallelRow))
    write_text(options.markdown, markdown(tables))
    write_text(options.latex, latex(tables))
    write_text(options.html, html_page("Parallel thinking", tables))


if __name__ == "__main__":
    run_stage(main)
