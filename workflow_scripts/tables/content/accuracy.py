"""The accuracy of every model and variant on every benchmark under every budget.

The mean over benchmarks is unweighted, of variants that have a budget on all of them.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from workflow_scripts.tables.content.cells import Cell, benchmark_of, cells_of
from workflow_scripts.tables.content.columns import COLUMNS, as_frame
from workflow_scripts.tables.content.formats import Built, Section, design, missing_note, pivoted
from workflow_scripts.tables.content.removals import (
    Masks,
    ratios_note,
    read_masks,
    with_ratios,
)
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.statistics.intervals import (
    Estimate,
    estimate_accuracy,
    mean_of_estimates,
)

INTERVAL = ["accuracy", "se", "ci_low", "ci_high"]
TOKENS = ["trace_tokens", "answer_tokens"]


def build(source: Source) -> Built:
    cells = source.cells()
    rows = as_frame("accuracy", map(row_of_cell, cells_of(cells)))
    means, run = mean_rows(rows), cells.attrs
    masks = read_masks(source.shared, run["models"], run["variants"])
    tables = list(sections(rows, means, masks, run["missing"]))
    return Built("Accuracy", {"accuracy": rows, "mean_accuracy": means}, tables)


def row_of_cell(cell: Cell) -> dict[str, object]:
    """A cell's numbers, with the statistics of `intervals.estimate_accuracy`."""
    problems, repeats = cell.correct.shape
    estimate = estimate_accuracy(cell.marks)
    return {
        **vars(cell),
        "problems": problems,
        "repeats": repeats,
        **dict(zip(INTERVAL, vars(estimate).values(), strict=True)),
    }


def mean_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The means over benchmarks."""
    benchmarks = rows["benchmark"].nunique()
    means = []
    for key, members in rows.groupby(["model", "variant", "budget"], sort=False):
        if len(members) == benchmarks:
            mean = mean_of_estimates([Estimate(*row) for row in members[INTERVAL].to_numpy()])
            tokens = members[TOKENS].sum() / benchmarks
            means.append((*key, benchmarks, *vars(mean).values(), *tokens))
    return pd.DataFrame(means, columns=COLUMNS["mean_accuracy"])


def sections(
    rows: pd.DataFrame, means: pd.DataFrame, masks: Masks, missing: Sequence[str] = ()
) -> Iterator[Section]:
    """A section for every model and benchmark in the order of the rows, then the means.

    `masks` tell what each variant removes.
    """
    for place, members in rows.groupby(["model", "benchmark"], sort=False):
        size = design(members.iloc[0])
        lacks = [name for name in missing if benchmark_of(name) == place]
        yield _section(" on ".join(place), size, members, masks, lacks)
    for model, members in means.groupby("model", sort=False):
        benchmarks = members["benchmarks"].iloc[0]
        if benchmarks > 1:
            size = f"unweighted mean of {benchmarks} benchmarks"
            yield _section(f"{model}, mean over benchmarks", size, members, masks, ())


def _section(
    title: str, size: str, rows: pd.DataFrame, masks: Masks, missing: Sequence[str]
) -> Section:
    reach = (rows["accuracy"] - rows["ci_low"]).combine(rows["ci_high"] - rows["accuracy"], max)
    texts = [f"{a:.2f} ± {r:.2f}" for a, r in zip(rows["accuracy"], reach, strict=True)]
    frame = with_ratios(pivoted(rows.assign(text=texts), "budget"), masks, rows["model"].iloc[0])
    caption = (
        f"accuracy by budget (thinking tokens). {size}; ± reaches to the farther end of the 95 % "
        f"interval. {ratios_note(frame.columns)}{missing_note(missing)}"
    )
    return Section(title, caption, frame)
