"""The diagnosis in words and numbers. The report reads it without the statistics."""

import math
from collections.abc import Callable, Iterator, Sequence

import pandas as pd

from workflow_scripts.tables.content.cells import benchmark_of
from workflow_scripts.tables.content.formats import (
    Section,
    missing_note,
    pivoted,
    with_percent_bounds,
)

NONE = "–"
DIFFICULTIES = ("hard", "middle", "easy")
LENGTHS = (
    "Answers by the tokens of their traces, parted at the quartiles of those of {reference}; "
    "traces of one length stay together. "
    "Hard problems take long traces, so that accuracy falls along a row without any pruning; read "
    "down the columns. In brackets the share of a variant's answers that are in the part."
)


def sections(
    rows: pd.DataFrame,
    lengths: pd.DataFrame,
    difficulty: pd.DataFrame,
    reference: str,
    missing: Sequence[str] = (),
) -> Iterator[Section]:
    """For every model and benchmark: under the largest budget what traces look like, what is lost
    and where; and how they end by budget."""
    for place, members in rows.groupby(["model", "benchmark"], sort=False):
        largest = members[members["budget"] == members["budget"].max()]
        budget = largest["budget"].iloc[0]
        lacks = missing_note([name for name in missing if benchmark_of(name) == place])
        name = " on ".join(map(str, place))
        under = f"under the largest budget, {budget} thinking tokens"
        yield _traces(name, under, largest, reference, lacks)
        if largest["lost"].notna().any():
            yield _outcomes(name, under, largest, reference, lacks)
        yield _by_budget(name, members, lacks)
        for frame, section in ((lengths, _lengths), (difficulty, _difficulty)):
            wanted = (frame["model"] == place[0]) & (frame["benchmark"] == place[1])
            here = frame[wanted & (frame["budget"] == budget)]
            if not here.empty:
                yield section(name, under, here, reference, lacks)


def _traces(name: str, under: str, rows: pd.DataFrame, reference: str, lacks: str) -> Section:
    reasons = [
        f"{row.variant}: {row.unpaired}"
        for row in rows.itertuples()
        if row.unpaired and row.variant != reference
    ]
    why = f" Nothing to depart from: {', '.join(reasons)}." if reasons else ""
    loops = [
        f"{row.loop_period:.0f} × {row.loop_times:.0f}" if row.loop_period > 0 else NONE
        for row in rows.itertuples()
    ]
    frame = pd.DataFrame(
        {
            "variant": rows["variant"],
            "ended": rows["ended"].map(_percent),
            "turn ended": rows["inside"].map(_percent),
            "cut": rows["cut"].map(_percent),
            "loops": rows["loops"].map(_percent),
            "at the end": rows["looping"].map(_percent),
            "period × times": loops,
            "compression": rows["compression"].map(_number(2)),
            "distinct": rows["distinct"].map(_number(2)),
            "reflections": rows["reflections"].map(_number(1)),
            "departs after": [_quartiles(row) for row in rows.itertuples()],
            "never": rows["together"].map(_percent),
        }
    )
    return Section(
        f"{name}: traces",
        f"{under}: % that ended by themselves, in which the model ended its turn, that the budget "
        "cut, that hold a loop, and that end in one; median period of loops in characters and how "
        "many times over; how many times smaller zlib makes a trace; distinct n-grams over all "
        "n-grams of a problem's repeats; reflection words in 1,000 tokens; quartiles of the tokens "
        f"that a trace shares with that of {reference}, and % that never depart, which count as "
        f"departing last.{why}{lacks}",
        frame,
    )


def _outcomes(name: str, under: str, rows: pd.DataFrame, reference: str, lacks: str) -> Section:
    rows = rows[rows["lost"].notna()]
    frame = pd.DataFrame(
        {
            "variant": rows["variant"],
            **{outcome: [_with_bounds(row, outcome) for row in rows.itertuples()]
               for outcome in ("lost", "won")},
            "in a loop": rows["lost_looping"].map(_tenths),
            "cut": rows["lost_cut"].map(_tenths),
            "turn ended": rows["lost_inside"].map(_tenths),
            "ended": rows["lost_ended"].map(_tenths),
        }
    )  # fmt: skip
    return Section(
        f"{name}: what is lost and how",
        f"{under}: % of answers that are right with {reference} and wrong with a variant (lost), "
        "or the other way round (won), with 95 % intervals; and by how the traces of the lost ones "
        "ended: in a loop, cut without one, with the model's turn, by themselves. These four add "
        f"up to what is lost.{lacks}",
        frame,
    )


def _by_budget(name: str, rows: pd.DataFrame, lacks: str) -> Section:
    texts = [
        f"{_percent(row.cut)} / {_percent(row.loops)} / {_percent(row.lost)}"
        for row in rows.itertuples()
    ]
    caption = f"% of traces that the budget cut / that hold a loop / % of answers lost.{lacks}"
    return Section(
        f"{name}: cut, loops and lost by budget",
        caption,
        pivoted(rows.assign(text=texts), "budget"),
    )


def _lengths(name: str, under: str, rows: pd.DataFrame, reference: str, lacks: str) -> Section:
    shares = rows["answers"] / rows.groupby("variant", sort=False)["answers"].transform("sum")
    heads = [f"{row.shortest} to {row.longest}" for row in rows.sort_values("bin").itertuples()]
    texts = [
        f"{accuracy:.2f} ({100 * share:.0f} %)"
        for accuracy, share in zip(rows["accuracy"], shares, strict=True)
    ]
    named = [f"{row.shortest} to {row.longest}" for row in rows.itertuples()]
    frame = pivoted(rows.assign(text=texts, tokens=named), "tokens")
    order = ["variant", *dict.fromkeys(heads)]
    said = LENGTHS.format(reference=reference)
    return Section(
        f"{name}: accuracy by length of the trace", f"{under}. {said}{lacks}", frame[order]
    )


def _difficulty(name: str, under: str, rows: pd.DataFrame, reference: str, lacks: str) -> Section:
    texts = [
        f"{row.accuracy:.2f}"
        + (
            ""
            if math.isnan(row.difference)
            else f", {with_percent_bounds(row.difference, row.difference_low, row.difference_high)}"
        )
        for row in rows.itertuples()
    ]
    frame = pivoted(rows.assign(text=texts), "difficulty")
    order = [level for level in DIFFICULTIES if level in frame]
    return Section(
        f"{name}: accuracy by difficulty",
        f"{under}: accuracy, and difference to {reference} in percentage points with its 95 % "
        "interval, on problems that are hard (less than a third right), middle or easy (more than "
        f"two thirds) for {reference}. How hard a problem is in one repeat its other repeats tell, "
        f"so that luck is not taken for ease.{lacks}",
        frame[["variant", *order]],
    )


def _percent(share: float) -> str:
    return NONE if math.isnan(share) else f"{100 * share:.0f}"


def _tenths(share: float) -> str:
    return NONE if math.isnan(share) else f"{100 * share:.1f}"


def _number(digits: int) -> Callable[[float], str]:
    return lambda value: NONE if math.isnan(value) else f"{value:.{digits}f}"


def _quartiles(row) -> str:
    """Lower quartile, median and upper one; ∞ where as many traces never depart."""
    values = (row.departure_q1, row.departure_median, row.departure_q3)
    if math.isnan(row.together):
        return NONE
    return " / ".join("∞" if math.isnan(value) else f"{value:.0f}" for value in values)


def _with_bounds(row, name: str) -> str:
    value, low, high = (100 * getattr(row, f"{name}{end}") for end in ("", "_low", "_high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"
