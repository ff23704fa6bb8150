"""What a reader must know before believing a run's numbers."""

from collections.abc import Iterator

import pandas as pd

from workflow_scripts.tables.content.cells import marks_of
from workflow_scripts.tables.statistics.verdicts import INCONCLUSIVE

CUT = 0.5  # share of the dense model's traces that the largest budget cuts
UNREAD = 0.2  # share of answers from which nothing could be taken
LOOPING = 0.1  # share of a variant's traces that go in circles
WIDE = 0.2  # the smallest difference that would be found


def cautions(
    cells: pd.DataFrame, comparison: pd.DataFrame, diagnosis: pd.DataFrame, reference: str
) -> Iterator[str]:
    """Sentences about each model and benchmark of which one is needed, by its largest budget."""
    for (model, benchmark), rows in cells.groupby(
        ["model", "benchmark"], sort=False, observed=True
    ):
        budget = rows["budget"].max()
        rows = rows[rows["budget"] == budget]
        place = f"{model} on {benchmark}"
        dense = rows[rows["variant"] == reference]
        if len(dense):
            yield from _of_dense(place, dense, reference, budget)
        unread = rows.groupby("variant", sort=False, observed=True)["extracted"].agg(
            lambda taken: taken.isna().mean()
        )
        for variant, share in unread[unread > UNREAD].items():
            yield (
                f"{place}: nothing could be extracted from {100 * share:.0f} % of the answers of "
                f"{variant}, which count as wrong. Look at some of them: a format that is not read "
                "looks like damage."
            )
        compared, diagnosed = (
            frame[
                (frame["model"] == model)
                & (frame["benchmark"] == benchmark)
                & (frame["budget"] == budget)
            ]
            for frame in (comparison, diagnosis)
        )
        for row in diagnosed[diagnosed["looping"] > LOOPING].itertuples():
            share = 100 * row.looping
            yield f"{place}: {share:.0f} % of the traces of {row.variant} end in circles."
        yield from _of_comparison(place, compared[compared["family"].str.startswith("dense")])


def _of_dense(place: str, dense: pd.DataFrame, reference: str, budget: int) -> Iterator[str]:
    cut = (dense["trace_finish"] == "length").mean()
    if cut > CUT:
        yield (
            f"{place}: the largest budget, {budget}, cuts {100 * cut:.0f} % of the traces of "
            f"{reference}. "
            "Its curve has not ended there: a larger budget would show more."
        )
    accuracy = marks_of(dense).mean()
    if accuracy in (0, 1):
        side, other = ("wrong", "worse") if accuracy == 0 else ("right", "better")
        yield (
            f"{place}: every answer of {reference} is {side} with {budget} thinking tokens, so "
            f"that nothing can be {other}."
        )


def _of_comparison(place: str, rows: pd.DataFrame) -> Iterator[str]:
    if len(rows) and (rows["verdict"] == INCONCLUSIVE).all():
        yield (
            f"{place}: no comparison says anything. More problems or repeats are needed; the "
            "comparison's column `detectable` says what these would find."
        )
    elif len(rows) and rows["detectable"].min() > WIDE:
        yield (
            f"{place}: with so few problems and repeats, differences smaller than "
            f"{rows['detectable'].min():.2f} would not be found."
        )
