"""Draw accuracy against budget or tokens, a line for every variant of one model on one benchmark.

    python -m workflow_scripts.tables.scaling_curves --table results/tables/accuracy.csv \
        --model reasoner --benchmark chains \
        --svg results/figures/scaling_curves/reasoner/chains.svg \
        --png results/figures/scaling_curves/reasoner/chains.png

With `--against tokens` a point stands at the mean of the tokens really used, trace and answer.
Every line is named at its right end, in the order of the ends. Bands are 95 % intervals; where
there are so many variants that their bands would cover each other, one band shows the scale.
"""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from workflow_scripts.errors import run_stage
from workflow_scripts.tables import style
from workflow_scripts.tables.labels import spread
from workflow_scripts.tables.rows import Row, rows_of

LOG_RATIO = 16  # budgets that span at least this ratio stand on a logarithmic axis
MOST_BANDS = 8  # variants that have a band each
LINE_HEIGHT = 1.32  # of a label, in font sizes
# inches
LEFT, BOTTOM, EDGE = 0.42, 0.56, 0.06  # around the axes; right of the labels
LEADER = 0.34  # between the end of a line and its label
AXES_HEIGHT = 3.1
LEAST_WIDTH = 2.6  # of the axes, however long the labels are

Across = Callable[[Row], float]
AGAINST: dict[str, Across] = {
    "budget": lambda row: row.budget,
    "tokens": lambda row: row.trace_tokens + row.answer_tokens,
}
LABELS = {
    "budget": "budget (thinking tokens)",
    "tokens": "tokens used for a problem (trace and answer, mean)",
}


def draw_scaling_curves(
    rows: Sequence[Row], problems: str = "problems", against: str = "budget"
) -> Figure:
    """The figure for rows of one model and benchmark.

    `problems` is what the subtitle calls the problems. A variant may lack a budget; its line then
    runs from neighbour to neighbour.
    """
    curves: dict[str, list[Row]] = {row.variant: [] for row in rows}
    for row in sorted(rows, key=lambda row: row.budget):
        curves[row.variant].append(row)
    labels = max(style.text_width(variant) for variant in curves)
    width = max(style.WIDTH - LEFT - LEADER - labels - EDGE, LEAST_WIDTH)
    height = max(AXES_HEIGHT, len(curves) * _label_height())
    total = (LEFT + width + LEADER + labels + EDGE, BOTTOM + height + style.HEAD)
    figure = Figure(figsize=total, dpi=style.DPI)
    axes = style.add_axes(figure, LEFT, BOTTOM, width, height)
    across = AGAINST[against]
    _set_axes(axes, sorted({across(row) for row in rows}), width, against)
    looks = style.looks(list(curves))
    banded = list(curves) if len(curves) <= MOST_BANDS else [_reference(curves)]
    for number, (variant, curve) in enumerate(curves.items()):
        if variant in banded:
            _draw_band(axes, curve, across, looks[variant])
        thinning = style.thinning(number, len(curves))
        _draw_curve(axes, curve, across, looks[variant], thinning, 3 + number)
    ends = {variant: (across(curve[-1]), curve[-1].accuracy) for variant, curve in curves.items()}
    _label_curves(axes, ends, looks, height, width)
    title = title_of(rows[0].model, rows[0].benchmark, against)
    style.title(figure, title, _subtitle(rows[0], problems, banded))
    return figure


def _reference(curves: Mapping[str, Sequence[Row]]) -> str:
    return "dense" if "dense" in curves else next(iter(curves))


def _label_height() -> float:
    return style.FONT * LINE_HEIGHT / 72


def title_of(model: str, benchmark: str, against: str = "budget") -> str:
    what = "thinking budget" if against == "budget" else "tokens used"
    return f"{model} on {benchmark}: accuracy against {what}"


def _set_axes(axes: Axes, places: Sequence[float], width: float, against: str) -> None:
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
    axes.set_xlabel(LABELS[against], labelpad=5)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1], labels=["0", "0.2", "0.4", "0.6", "0.8", "1"])
    axes.tick_params(axis="y", length=0, pad=5)
    axes.tick_params(axis="x", length=3, width=0.8)
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


def _draw_band(axes: Axes, curve: Sequence[Row], across: Across, look: style.Look) -> None:
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


def _draw_curve(
    axes: Axes,
    curve: Sequence[Row],
    across: Across,
    look: style.Look,
    size: float,
    order: int,
) -> None:
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


def _label_curves(
    axes: Axes,
    ends: Mapping[str, tuple[float, float]],
    looks: Mapping[str, style.Look],
    height: float,
    width: float,
) -> None:
    """Name every curve right of its last point, with a thin leader from the point to the name."""
    heights = spread([y for _, y in ends.values()], _label_height() / height, 0.0, 1.0)
    beside = axes.get_yaxis_transform()  # x in widths of the axes, y in accuracy
    for (variant, end), y in zip(ends.items(), heights, strict=True):
        look = looks[variant]
        axes.annotate(
            variant,
            xy=end,
            xycoords="data",
            xytext=(1 + LEADER / width, y),
            textcoords=beside,
            color=look.text_colour,
            fontsize=style.FONT,
            va="center_baseline",
            ha="left",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": look.colour,
                "linewidth": 0.7,
                "shrinkA": 1,
                "shrinkB": 4,
                "relpos": (0, 0.5),
            },
        )


def _subtitle(row: Row, problems: str, banded: Sequence[str]) -> str:
    bands = "bands: 95 % intervals" if len(banded) > 1 else f"band: 95 % interval of {banded[0]}"
    repeats = "1 repeat" if row.repeats == 1 else f"{row.repeats} repeats"
    return f"mean of {row.problems} {problems} × {repeats}; {bands}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", required=True, type=Path, help="accuracy.csv")
    parser.add_argument("--model", required=True)
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--against", choices=sorted(AGAINST), default="budget")
    parser.add_argument("--problems", default="problems", help="what the subtitle calls them")
    parser.add_argument("--svg", required=True, type=Path, help="figure to write")
    parser.add_argument("--png", required=True, type=Path, help="figure to write")
    options = parser.parse_args(arguments)
    rows = rows_of(options.model, options.benchmark, options.table)
    with style.applied():
        figure = draw_scaling_curves(rows, options.problems, options.against)
    title = title_of(options.model, options.benchmark, options.against)
    style.save(figure, options.svg, options.png, title)


if __name__ == "__main__":
    run_stage(main)
