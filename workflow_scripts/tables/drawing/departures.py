"""Where traces depart from the reference's, and accuracy by length of the trace and by difficulty.

A panel for each, of those of which the run has something: without repeats nothing tells how hard a
problem is. All are of the largest budget.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workflow_scripts.tables.content.columns import NothingToShow, rows_of
from workflow_scripts.tables.content.diagnosis_text import DIFFICULTIES
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.curves import set_accuracy
from workflow_scripts.tables.drawing.labels import short
from workflow_scripts.tables.drawing.looks import Look, looks_of

HEIGHT = 2.6  # inches of the panels
LEGEND_LINE = 0.19  # inches of a line of the legend
LEGEND_COLUMNS = 4

Looks = Mapping[str, Look]


def draw(source: Source) -> Figure:
    looks = looks_of(source)
    together = still_together(source)
    lengths, difficulty = (_largest(source, f"diagnosis_{n}") for n in ("lengths", "difficulty"))
    found: list[Callable[[Axes], None]] = []
    if together:
        found.append(lambda axes: _draw_departures(axes, together, looks))
    if not lengths.empty:
        found.append(lambda axes: _draw_lengths(axes, lengths, looks))
    if not difficulty.empty:
        found.append(lambda axes: _draw_difficulty(axes, difficulty, looks))
    if not together:
        raise NothingToShow(f"no traces that depart from those of {source.reference}")
    budget = lengths["budget"].iloc[0]
    shown = [v for v in source.ways if v in {*together, *lengths["variant"]}]
    lines = -(-len(shown) // LEGEND_COLUMNS)
    figure = style.new_figure(
        HEIGHT + LEGEND_LINE * lines,
        f"budget {budget}; black: {source.reference}; means over problems and repeats",
    )
    for axes, fill in zip(figure.subplots(1, len(found), squeeze=False)[0], found, strict=True):
        fill(axes)
        axes.tick_params(labelsize=style.SMALL - 0.5)
        axes.yaxis.label.set_size(style.SMALL)
        axes.xaxis.label.set_size(style.SMALL)
    figure.legend(
        handles=[_handle(variant, looks[variant]) for variant in shown],
        loc="outside lower center", ncols=LEGEND_COLUMNS, frameon=False,
        fontsize=style.SMALL - 1, handlelength=2.2, columnspacing=1.2,
    )  # fmt: skip
    return figure


def still_together(source: Source) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By variant, numbers of tokens and the share of its traces that share as many, or all."""
    frame = source.traces()
    place = {name: source.options[name] for name in ("model", "benchmark")}
    frame = rows_of(frame.astype({name: str for name in place}), source.tables, **place)
    frame = frame[(frame["budget"] == frame["budget"].max()) & (frame["unpaired"] == "")]
    found = {}
    for variant, rows in frame.groupby("variant", sort=False, observed=True):
        departures = np.sort(rows["departure"].dropna().to_numpy())
        tokens, counts = np.unique(departures, return_counts=True)
        left = 1 - np.cumsum(counts) / len(rows)
        ends = np.concatenate([[0], tokens, [rows["budget"].iloc[0]]])
        found[str(variant)] = ends, np.concatenate([[1.0], left, left[-1:] if len(left) else [1.0]])
    return found


def _largest(source: Source, name: str) -> pd.DataFrame:
    frame = source.table(name)
    wanted = (frame["model"] == source.options["model"]) & (
        frame["benchmark"] == source.options["benchmark"]
    )
    frame = frame[wanted]
    return frame[frame["budget"] == frame["budget"].max()]


def _draw_departures(axes: Axes, together: Mapping, looks: Looks) -> None:
    for variant, (tokens, shares) in together.items():
        look = looks[variant]
        axes.step(
            tokens + 1, shares, where="post", color=look.colour, linewidth=1.2,
            dashes=look.dashes or (None, None), clip_on=False,
        )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda tick, _: f"{tick:g}")
    axes.minorticks_off()
    set_accuracy(axes)
    axes.set_ylabel("traces that are still the same")
    axes.set_xlabel("token of the trace")


def _draw_lengths(axes: Axes, rows: pd.DataFrame, looks: Looks) -> None:
    bins = rows.drop_duplicates("bin").sort_values("bin")
    places = {one: number for number, one in enumerate(bins["bin"])}
    for variant, of_it in rows.groupby("variant", sort=False):
        of_it = of_it.sort_values("bin")
        _draw_line(axes, of_it["bin"].map(places), of_it["accuracy"], looks[variant])
    ends = bins[["shortest", "longest"]].itertuples(index=False)
    axes.set_xticks(range(len(bins)), labels=[f"{short(a)}–{short(b)}" for a, b in ends])
    set_accuracy(axes)
    axes.set_xlabel("tokens of the trace")


def _draw_difficulty(axes: Axes, rows: pd.DataFrame, looks: Looks) -> None:
    places = {level: number for number, level in enumerate(DIFFICULTIES)}
    for variant, of_it in rows.groupby("variant", sort=False):
        _draw_line(axes, of_it["difficulty"].map(places), of_it["accuracy"], looks[variant])
    axes.set_xticks(range(len(places)), labels=DIFFICULTIES)
    axes.set_xlim(-0.25, len(places) - 0.75)
    set_accuracy(axes)
    axes.set_xlabel("problem")


def _draw_line(axes: Axes, across: pd.Series, accuracy: pd.Series, look: Look) -> None:
    axes.plot(
        across, accuracy, color=look.colour, linewidth=1.2, dashes=look.dashes or (None, None),
        marker=look.marker, markersize=3.4, markerfacecolor=look.marker_fill, clip_on=False,
    )  # fmt: skip


def _handle(variant: str, look: Look) -> Line2D:
    dashes = (0, look.dashes) if look.dashes else "-"
    return Line2D(
        [], [], color=look.colour, linewidth=1.2, linestyle=dashes,
        marker=look.marker, markersize=3.4, markerfacecolor=look.marker_fill, label=variant,
    )  # fmt: skip
