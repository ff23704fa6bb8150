"""What several repeats are worth together: pass@k and majority@k under every budget.

The CSV has a row for every cell and k from 1 to the repeats; the other formats show the largest k.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from workflow_scripts.tables.content.cells import Cell, cells_of
from workflow_scripts.tables.content.columns import as_frame
from workflow_scripts.tables.content.formats import Built, Section, count, missing_note, pivoted
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.statistics.intervals import estimate_accuracy, estimate_mean
from workflow_scripts.tables.statistics.parallel import majority_at_every_k, pass_at_k

APART = (
    "Wrong answers are told apart as they are written, so that majority@k is an upper bound where "
    "answers are expressions."
)


def build(source: Source) -> Built:
    cells = source.cells()
    rows = as_frame("parallel", (row for cell in cells_of(cells) for row in rows_of_cell(cell)))
    tables = list(sections(rows, cells.attrs["missing"]))
    return Built("Sequential and parallel scaling", {"parallel": rows}, tables)


def rows_of_cell(cell: Cell) -> Iterator[dict[str, object]]:
    """A row for every k. At k = 1 both rates are the accuracy, with its own interval."""
    majorities = np.array(list(map(majority_at_every_k, cell.correct, cell.extracted)))
    for k in range(1, cell.correct.shape[1] + 1):
        if k == 1:
            passed = majority = estimate_accuracy(cell.correct)
        else:
            passed = estimate_mean(pass_at_k(cell.correct, k))
            majority = estimate_mean(majorities[:, k - 1])
        yield {
            **vars(cell),
            "k": k,
            "tokens": k * (cell.trace_tokens + cell.answer_tokens),
            "pass_at_k": passed.value,
            "pass_low": passed.low,
            "pass_high": passed.high,
            "majority_at_k": majority.value,
            "majority_low": majority.low,
            "majority_high": majority.high,
        }


def sections(rows: pd.DataFrame, missing: Sequence[str] = ()) -> Iterator[Section]:
    """A section for every model and benchmark: variants down, budgets across."""
    largest = rows["k"].max()
    for (model, benchmark), members in rows[rows["k"] == largest].groupby(
        ["model", "benchmark"], sort=False
    ):
        rates = zip(members["pass_at_k"], members["majority_at_k"], strict=True)
        texts = [f"{passed:.2f} / {majority:.2f}" for passed, majority in rates]
        yield Section(
            f"{model} on {benchmark}: {count(largest, 'repeat')} together",
            f"pass@{largest} / majority@{largest} by budget (thinking tokens of one repeat): the "
            "chance that one of them is right, and that their commonest answer is. "
            f"{APART}{missing_note(missing)}",
            pivoted(members.assign(text=texts), "budget"),
        )
