"""Curves of accuracy on axes of their own: what figures with one panel and with many share."""

import math
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from workflow_scripts.tables.content.rows import Row
from workflow_scripts.tables.drawing import style

LOG_RATIO = 16  # budgets that span at least this ratio stand on a logarithmic axis

Across = Callable[[Row], float]
AGAINST: dict[str, Across] = {
    "budget": lambda row: row.budget,
    "tokens": lambda row: row.trace_tokens + row.answer_tokens,
}
LABELS = {
    "budget": "budget (thinking tokens)",
    "tokens": "tokens used for a problem (trace and answer, mean)",
}


def set_across(axes: Axes, places: Sequence[float], width: float, against: str) -> None:
    """Lay the budgets or tokens of all points, ascending, along axes of `width` inches.

    `against` is a key of `AGAINST`. Every budget has a tick, tokens have round ones.
    """
    if places[0] > 0 and places[-1] >= LOG_RATIO * places[0]:
        axes.set_xscale("log", base=2)
        margin = (places[-1] / places[0]) ** 0.03
        axes.set_xlim(places[0] / margin, places[-1])
        ticks = _doublings(places[0] / margin, places[-1])
    else:
        margin = 0.03 * (places[-1] - places[0]) or 0.5 * places[0] or 0.5
        axes.set_xlim(places[0] - margin, places[-1])
        ticks = [t for t in MaxNLocator(7).tick_values(places[0], places[-1]) if t <= places[-1]]
        ticks = [t for t in ticks if t >= places[0] - margin]
    if against == "budget":
        ticks = list(places)
    at = [math.log2(tick) for tick in ticks] if axes.get_xscale() == "log" else list(ticks)
    axes.set_xticks(ticks, labels=_tick_labels(ticks, at, width), minor=False)
    axes.set_xticks([], minor=True)
    axes.tick_params(axis="x", length=3, width=0.8)


def set_accuracy(axes: Axes, top: float = 1.0, is_labelled: bool = True) -> None:
    """Let accuracy go up from 0 to `top`, a multiple of 0.2, with a line at each fifth or tenth."""
    parts = 5 if top > 0.4 else 10
    ticks = [part / parts for part in range(round(top * parts) + 1)]
    axes.set_ylim(0, top)
    axes.set_yticks(ticks, labels=[f"{tick:.1g}" if is_labelled else "" for tick in ticks])
    axes.tick_params(axis="y", length=0, pad=5)
    axes.grid(axis="y", color=style.GRID, linewidth=0.8, clip_on=False)


def _doublings(low: float, high: float) -> list[float]:
    """The powers of two between two numbers."""
    return [2.0**power for power in range(math.ceil(math.log2(low)), int(math.log2(high)) + 1)]


def _tick_labels(ticks: Sequence[float], places: Sequence[float], width: float) -> list[str]:
    """A tick's number, or nothing where it would touch that of the next larger one."""
    span = (places[-1] - places[0]) or 1.0
    labels: list[str] = []
    left_end = math.inf  # inches
    for tick, place in zip(reversed(ticks), reversed(places), strict=True):
        text = f"{tick:g}" if tick < 1e5 else str(round(tick))
        centre = (place - places[0]) / span * width
        half = 0.32 * style.FONT / 72 * len(text)
        fits = centre + half + 0.04 <= left_end
        labels.append(text if fits else "")
        left_end = centre - half if fits else left_end
    return labels[::-1]


def draw_band(axes: Axes, curve: Sequence[Row], across: Across, look: style.Look) -> None:
    """Draw the 95 % intervals of a curve, whose rows are in the order of their budgets."""
    if len(curve) == 1:  # a band of one budget would have no width
        (row,) = curve
        place = across(row)
        axes.vlines(place, row.ci_low, row.ci_high, color=look.colour, zorder=2, clip_on=False)
        return
    axes.fill_between(
        [across(row) for row in curve],
        [row.ci_low for row in curve],
        [row.ci_high for row in curve],
        color=look.colour,
        alpha=style.BAND_OPACITY,
        linewidth=0,
        zorder=2,
        clip_on=False,
    )


def draw_curve(
    axes: Axes,
    curve: Sequence[Row],
    across: Across,
    look: style.Look,
    size: float,
    order: int,
) -> None:
    """Draw a curve, its rows in the order of their budgets, above those of a smaller `order`.

    `size` is in lines and markers of the look.
    """
    axes.plot(
        [across(row) for row in curve],
        [row.accuracy for row in curve],
        color=look.colour,
        linewidth=look.width * size,
        dashes=look.dashes or (None, None),
        marker=look.marker,
        markersize=style.MARKER * size,
        markerfacecolor=look.colour if look.filled else "white",
        markeredgecolor=look.colour,
        markeredgewidth=1.2,
        zorder=order,
        clip_on=False,
    )
