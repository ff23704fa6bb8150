"""The page of where pruning begins to show, made from `onset.csv` and `onset_slopes.csv`."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from workflow_scripts.tables.content.cells import benchmark_of
from workflow_scripts.tables.content.formats import (
    Section,
    design,
    in_percent,
    missing_note,
    with_percent_bounds,
)


def sections(
    rows: pd.DataFrame, slopes: pd.DataFrame, missing: Sequence[str] = ()
) -> Iterator[Section]:
    """A section for every model and benchmark: ways down, budgets across."""
    for place, members in rows.groupby(["model", "benchmark"], sort=False):
        lacks = [name for name in missing if benchmark_of(name) == place]
        is_here = (slopes["model"] == place[0]) & (slopes["benchmark"] == place[1])
        lines = slopes[is_here].set_index("way")
        texts = [_text(row) for row in members.itertuples()]
        frame = members.assign(text=texts).pivot(index="way", columns="budget", values="text")
        frame = frame.loc[members["way"].unique()].fillna("").rename(columns=str).reset_index()
        of_lines = lines.reindex(frame["way"])[["slope", "low", "high"]]
        frame["per doubling"] = [
            with_percent_bounds(*one) for one in of_lines.itertuples(index=False)
        ]
        yield Section(
            f"{' on '.join(place)}: from which sparsity on pruning shows",
            "by budget (thinking tokens) the least share of the blocks' weights, in %, without "
            "which a loss of accuracy is as large as this benchmark finds in 80 of 100 runs, with "
            "its 95 % interval over problems; >: no variant loses as much. Per doubling: by how "
            "many percentage points that changes each time that the budget doubles. "
            f"{design(members.iloc[0])}.{missing_note(lacks)}",
            frame.rename_axis(columns=None),
        )


def _text(row: Any) -> str:
    most = f"> {100 * row.largest:.0f}"
    share, low, high = (
        most if math.isinf(one) else in_percent(one).lstrip("+")
        for one in (row.onset, row.ci_low, row.ci_high)
    )
    return most if math.isinf(row.ci_low) else f"{share} [{low}, {high}]"
