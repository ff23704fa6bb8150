"""Accuracy against budget or tokens: what figures with one panel and with many share."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.labels import LINE_HEIGHT, name_ends, thin_ticks
from workflow_scripts.tables.drawing.looks import Look

LOG_RATIO = 16  # budgets that span at least this ratio stand on a logarithmic axis
MAX_BANDS = 8  # variants that have a band each
MAX_TOGETHER = 10  # variants in one panel, where they are pruned in different ways
LABELS = {
    "budget": "budget (thinking tokens)",
    "tokens": "tokens used for a problem (trace and answer, mean)",
}

Curves = Mapping[str, pd.DataFrame]


def curves_of(source: Source, against: str = "budget") -> Curves:
    """The rows of each variant on a figure's benchmark by budget, with their place `across`."""
    rows = source.rows("accuracy")
    tokens = rows["trace_tokens"] + rows["answer_tokens"]
    rows = rows.assign(across=rows["budget"] if against == "budget" else tokens)
    rows = paired_bounds(rows, source)
    curves = dict(list(rows.sort_values("budget", kind="stable").groupby("variant", sort=False)))
    return {variant: curves[variant] for variant in rows["variant"].unique()}


def reference_of(curves: Curves, source: Source) -> str:
    """The variant that the others are compared with; the first where that one has no rows."""
    return source.reference if source.reference in curves else next(iter(curves))


def places_of(curves: Curves) -> list[float]:
    """Where points are along the axes, ascending."""
    return sorted({x for curve in curves.values() for x in curve["across"]})


def ends_of(curves: Curves) -> dict[str, tuple[float, float]]:
    """The last point of every curve."""
    return {v: tuple(curve[["across", "accuracy"]].iloc[-1]) for v, curve in curves.items()}


def draw_together(
    axes: Axes,
    curves: Curves,
    banded: Sequence[str],
    looks: Mapping[str, Look],
    against: str = "budget",
) -> None:
    """Draw curves into one panel, those of `banded` with their intervals, and name their ends."""
    set_across(axes, places_of(curves), against)
    set_accuracy(axes)
    axes.set_xlabel(LABELS[against], labelpad=5)
    for number, (variant, curve) in enumerate(curves.items()):
        if variant in banded:
            draw_band(axes, curve, looks[variant])
        size = style.line_size(number, len(curves))
        draw_curve(axes, curve, looks[variant], size, 3 + number)
    name_ends([(axes, ends_of(curves), looks)], style.FONT)
    thin_ticks(axes)


def height_for(names: int, least: float, size: float = style.FONT) -> float:
    """Inches in which so many names have place below each other."""
    return max(least, 0.6 + names * size * LINE_HEIGHT / 72)


def set_across(axes: Axes, places: Sequence[float], against: str) -> None:
    """Lay the budgets or tokens of all points, ascending, along the axes.

    Every budget has a tick, tokens have round ones.
    """
    low, high = places[0], places[-1]
    if low > 0 and high >= LOG_RATIO * low:
        axes.set_xscale("log", base=2)
        low /= (high / low) ** 0.03
        powers = range(math.ceil(math.log2(low)), int(math.log2(high)) + 1)
        ticks = [2.0**power for power in powers]
    else:
        low -= 0.03 * (high - low) or 0.5 * low or 0.5
        ticks = [tick for tick in MaxNLocator(7).tick_values(low, high) if low <= tick <= high]
    if against == "budget":
        ticks = list(places)
    axes.set_xlim(low, high)
    texts = [f"{tick:g}" if tick < 1e5 else str(round(tick)) for tick in ticks]
    axes.set_xticks(ticks, labels=texts)
    axes.set_xticks([], minor=True)
    axes.tick_params(axis="x", length=3, width=0.8)


def set_accuracy(axes: Axes, top: float = 1.0) -> None:
    """Let accuracy go up from 0 to `top`, a multiple of 0.2, with a line at each fifth or tenth."""
    parts = 5 if top > 0.4 else 10
    axes.set_ylim(0, top)
    axes.set_ylabel("accuracy")
    axes.set_yticks([part / parts for part in range(round(top * parts) + 1)])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:.1g}"))
    axes.tick_params(axis="y", length=0, pad=5)
    axes.grid(axis="y", color=style.GRID, linewidth=0.8, clip_on=False)


def paired_bounds(rows: pd.DataFrame, source: Source) -> pd.DataFrame:
    """Rows of accuracies whose 95 % bounds are, where a variant is compared with the reference,
    those of its difference to it, set on the reference's accuracy.

    Variants answer the same problems: where such a band leaves out the reference's line, the
    difference is clear, however much the bands of single accuracies overlap.
    """
    known = source.compared().set_index(["variant", "budget"])
    places = pd.MultiIndex.from_frame(rows[["variant", "budget"]])
    bounds = known[["ci_low", "ci_high"]].add(known["reference_accuracy"], axis=0).clip(0, 1)
    found = bounds.reindex(places).set_axis(rows.index)
    return rows.assign(**{name: found[name].fillna(rows[name]) for name in bounds})


def draw_band(axes: Axes, curve: pd.DataFrame, look: Look) -> None:
    """Draw the 95 % intervals of a curve: rows with a place `across`, in its order."""
    if len(curve) == 1:  # a band of one budget would have no width
        axes.vlines(
            curve["across"], curve["ci_low"], curve["ci_high"], color=look.colour, zorder=2,
            clip_on=False,
        )  # fmt: skip
        return
    axes.fill_between(
        curve["across"], curve["ci_low"], curve["ci_high"], color=look.colour,
        alpha=style.BAND_OPACITY, linewidth=0, zorder=2, clip_on=False,
    )  # fmt: skip


def draw_curve(axes: Axes, curve: pd.DataFrame, look: Look, size: float, order: int) -> None:
    """Draw a curve above those of a smaller `order`; `size` is in lines and markers of the look."""
    axes.plot(
        curve["across"],
        curve["accuracy"],
        color=look.colour,
        linewidth=look.width * size,
        dashes=look.dashes or (None, None),
        marker=look.marker,
        markersize=style.MARKER * size,
        markerfacecolor=look.marker_fill,
        zorder=order,
        clip_on=False,
    )
