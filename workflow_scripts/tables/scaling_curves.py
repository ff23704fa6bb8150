"""Draw accuracy against thinking budget, a line for every variant of one model on one benchmark.

    python -m workflow_scripts.tables.scaling_curves --table results/tables/accuracy.csv \
        --model reasoner --benchmark chains \
        --svg results/figures/scaling_curves/reasoner/chains.svg \
        --png results/figures/scaling_curves/reasoner/chains.png

Every line is named at its right end, in the order of the ends. Bands are 95 % intervals; where
there are so many variants that their bands would cover each other, one band shows the scale.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.errors import InputError, run_stage
from workflow_scripts.tables import style
from workflow_scripts.tables.accuracy_rows import Row, read_rows
from workflow_scripts.tables.labels import spread

LOG_RATIO = 16  # budgets that span at least this ratio stand on a logarithmic axis
MOST_BANDS = 8  # variants that have a band each
LINE_HEIGHT = 1.32  # of a label, in font sizes
# inches
LEFT, BOTTOM, TOP, EDGE = 0.42, 0.56, 0.66, 0.06  # around the axes; right of the labels
LEADER = 0.34  # between the end of a line and its label
MARGIN = 0.1  # beside the title
AXES_HEIGHT = 3.1
LEAST_WIDTH = 2.6  # of the axes, however long the labels are


def draw_scaling_curves(rows: Sequence[Row], problems: str = "problems") -> Figure:
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
    total = (LEFT + width + LEADER + labels + EDGE, BOTTOM + height + TOP)
    figure = Figure(figsize=total, dpi=style.DPI)
    axes = figure.add_axes(
        (LEFT / total[0], BOTTOM / total[1], width / total[0], height / total[1])
    )
    _set_axes(axes, sorted({row.budget for row in rows}), width)
    looks = style.looks(list(curves))
    banded = list(curves) if len(curves) <= MOST_BANDS else [_reference(curves)]
    for number, (variant, curve) in enumerate(curves.items()):
        if variant in banded:
            _draw_band(axes, curve, looks[variant])
        _draw_curve(axes, curve, looks[variant], style.thinning(number, len(curves)), 3 + number)
    _label_curves(axes, curves, looks, height, width)
    _title(figure, rows[0], problems, banded)
    return figure


def _reference(curves: Mapping[str, Sequence[Row]]) -> str:
    return "dense" if "dense" in curves else next(iter(curves))


def _label_height() -> float:
    return style.FONT * LINE_HEIGHT / 72


def title_of(model: str, benchmark: str) -> str:
    return f"{model} on {benchmark}: accuracy against thinking budget"


def _set_axes(axes: Axes, budgets: Sequence[int], width: float) -> None:
    if budgets[-1] >= LOG_RATIO * budgets[0]:
        axes.set_xscale("log", base=2)
        places = [math.log2(budget) for budget in budgets]
        margin = 2 ** (0.03 * (places[-1] - places[0]))
        axes.set_xlim(budgets[0] / margin, budgets[-1])
    else:
        places = [float(budget) for budget in budgets]
        margin = 0.03 * (budgets[-1] - budgets[0]) or 0.5 * budgets[0]
        axes.set_xlim(budgets[0] - margin, budgets[-1])
    axes.set_xticks(budgets, labels=_tick_labels(budgets, places, width), minor=False)
    axes.set_xticks([], minor=True)
    axes.set_xlabel("budget (thinking tokens)", labelpad=5)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1], labels=["0", "0.2", "0.4", "0.6", "0.8", "1"])
    axes.tick_params(axis="y", length=0, pad=5)
    axes.tick_params(axis="x", length=3, width=0.8)
    axes.grid(axis="y", color=style.GRID, linewidth=0.8, clip_on=False)


def _tick_labels(budgets: Sequence[int], places: Sequence[float], width: float) -> list[str]:
    """A budget's number, or nothing where it would touch that of the next larger one."""
    span = (places[-1] - places[0]) or 1.0
    labels: list[str] = []
    left_end = math.inf  # inches
    for budget, place in zip(reversed(budgets), reversed(places), strict=True):
        centre = (place - places[0]) / span * width
        half = 0.32 * style.FONT / 72 * len(str(budget))
        fits = centre + half + 0.04 <= left_end
        labels.append(str(budget) if fits else "")
        left_end = centre - half if fits else left_end
    return labels[::-1]


def _draw_band(axes: Axes, curve: Sequence[Row], look: style.Look) -> None:
    if len(curve) == 1:  # a band of one budget would have no width
        (row,) = curve
        axes.vlines(row.budget, row.ci_low, row.ci_high, color=look.colour, zorder=2, clip_on=False)
        return
    axes.fill_between(
        [row.budget for row in curve],
        [row.ci_low for row in curve],
        [row.ci_high for row in curve],
        color=look.colour,
        alpha=style.BAND_OPACITY,
        linewidth=0,
        zorder=2,
        clip_on=False,
    )


def _draw_curve(
    axes: Axes, curve: Sequence[Row], look: style.Look, size: float, order: int
) -> None:
    axes.plot(
        [row.budget for row in curve],
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
    curves: Mapping[str, Sequence[Row]],
    looks: Mapping[str, style.Look],
    height: float,
    width: float,
) -> None:
    """Name every curve right of its last point, with a thin leader from the point to the name."""
    ends = [curve[-1] for curve in curves.values()]
    heights = spread([end.accuracy for end in ends], _label_height() / height, 0.0, 1.0)
    across = axes.get_yaxis_transform()  # x in widths of the axes, y in accuracy
    for variant, end, y in zip(curves, ends, heights, strict=True):
        look = looks[variant]
        axes.annotate(
            variant,
            xy=(end.budget, end.accuracy),
            xycoords="data",
            xytext=(1 + LEADER / width, y),
            textcoords=across,
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


def _title(figure: Figure, row: Row, problems: str, banded: Sequence[str]) -> None:
    bands = "bands: 95 % intervals" if len(banded) > 1 else f"band: 95 % interval of {banded[0]}"
    repeats = "1 repeat" if row.repeats == 1 else f"{row.repeats} repeats"
    subtitle = f"mean of {row.problems} {problems} × {repeats}; {bands}"
    width, height = figure.get_size_inches()
    for text, down, size, weight, colour in (
        (title_of(row.model, row.benchmark), 0.12, style.FONT + 1, "bold", style.INK),
        (subtitle, 0.34, style.SMALL, "normal", style.FAINT_INK),
    ):
        while size > 4 and style.text_width(text, size, weight) > width - 2 * MARGIN:
            size -= 0.25  # a title that is wider than the figure is set smaller
        figure.text(
            MARGIN / width,
            1 - down / height,
            text,
            fontsize=size,
            fontweight=weight,
            color=colour,
            va="top",
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", required=True, type=Path, help="accuracy.csv")
    parser.add_argument("--model", required=True)
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--problems", default="problems", help="what the subtitle calls them")
    parser.add_argument("--svg", required=True, type=Path, help="figure to write")
    parser.add_argument("--png", required=True, type=Path, help="figure to write")
    options = parser.parse_args(arguments)
    rows = [
        row
        for row in read_rows(options.table)
        if (row.model, row.benchmark) == (options.model, options.benchmark)
    ]
    if not rows:
        raise InputError(f"{options.table}: no row for {options.model} on {options.benchmark}")
    with style.applied():
        figure = draw_scaling_curves(rows, options.problems)
    style.save(figure, options.svg, options.png, title_of(options.model, options.benchmark))


if __name__ == "__main__":
    run_stage(main)
