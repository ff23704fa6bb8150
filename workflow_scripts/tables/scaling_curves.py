"""Draw accuracy against budget or tokens, a line for every variant of one model on one benchmark.

    python -m workflow_scripts.tables.scaling_curves --table results/tables/accuracy.csv \
        --model reasoner --benchmark chains --reference dense \
        --svg results/figures/scaling_curves/reasoner/chains.svg \
        --png results/figures/scaling_curves/reasoner/chains.png

With `--against tokens` a point stands at the mean of the tokens really used, trace and answer.
Every line is named at its right end, in the order of the ends. Bands are 95 % intervals; where
there are so many variants that their bands would cover each other, one band shows the scale; where
their lines would, every way of pruning has a panel of its own.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.content.rows import Row, rows_of
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.curves import (
    AGAINST,
    LABELS,
    draw_band,
    draw_curve,
    set_accuracy,
    set_across,
)
from workflow_scripts.tables.drawing.labels import spread
from workflow_scripts.tables.drawing.scaling_panels import draw_panels

MAX_BANDS = 8  # variants that have a band each
MAX_TOGETHER = 10  # variants in one panel, where they are pruned in different ways
MIN_PANELS = 3
LINE_HEIGHT = 1.32  # of a label, in font sizes
# inches
LEFT, BOTTOM, EDGE = 0.42, 0.56, 0.06  # around the axes; right of the labels
LEADER = 0.34  # between the end of a line and its label
AXES_HEIGHT = 3.1
MIN_WIDTH = 2.6  # of the axes, however long the labels are


def draw_scaling_curves(
    rows: Sequence[Row],
    problems: str = "problems",
    against: str = "budget",
    reference: str = "dense",
) -> Figure:
    """The figure for rows of one model and benchmark.

    `problems` is what the subtitle calls the problems, `reference` the variant without pruning;
    where that has no rows the first one's band stands for the others'. A variant may lack a budget;
    its line then runs from neighbour to neighbour.
    """
    curves: dict[str, list[Row]] = {row.variant: [] for row in rows}
    for row in sorted(rows, key=lambda row: row.budget):
        curves[row.variant].append(row)
    looks = style.looks(list(curves), reference)
    reference = reference if reference in curves else next(iter(curves))
    title = title_of(rows[0].model, rows[0].benchmark, against)
    families = style.families(variant for variant in curves if variant != reference)
    if len(curves) > MAX_TOGETHER and len(families) >= MIN_PANELS:
        figure = draw_panels(curves, reference, families, looks, against)
        bands = f"black: {reference}, with its 95 % interval"
    elif len(curves) > MAX_BANDS:
        figure = _draw_together(curves, [reference], looks, against)
        bands = f"band: 95 % interval of {reference}"
    else:
        figure = _draw_together(curves, list(curves), looks, against)
        bands = "bands: 95 % intervals"
    style.title(figure, title, _subtitle(rows[0], problems, bands))
    return figure


def _draw_together(
    curves: Mapping[str, Sequence[Row]],
    banded: Sequence[str],
    looks: Mapping[str, style.Look],
    against: str,
) -> Figure:
    labels = max(style.text_width(variant) for variant in curves)
    width = max(style.WIDTH - LEFT - LEADER - labels - EDGE, MIN_WIDTH)
    height = max(AXES_HEIGHT, len(curves) * _label_height())
    total = (LEFT + width + LEADER + labels + EDGE, BOTTOM + height + style.HEAD)
    figure = Figure(figsize=total, dpi=style.DPI)
    axes = style.add_axes(figure, LEFT, BOTTOM, width, height)
    across = AGAINST[against]
    places = sorted({across(row) for curve in curves.values() for row in curve})
    set_across(axes, places, width, against)
    set_accuracy(axes)
    axes.set_xlabel(LABELS[against], labelpad=5)
    for number, (variant, curve) in enumerate(curves.items()):
        if variant in banded:
            draw_band(axes, curve, across, looks[variant])
        thinning = style.thinning(number, len(curves))
        draw_curve(axes, curve, across, looks[variant], thinning, 3 + number)
    ends = {variant: (across(curve[-1]), curve[-1].accuracy) for variant, curve in curves.items()}
    _label_curves(axes, ends, looks, height, width)
    return figure


def _label_height() -> float:
    return style.FONT * LINE_HEIGHT / 72


def title_of(model: str, benchmark: str, against: str = "budget") -> str:
    what = "thinking budget" if against == "budget" else "tokens used"
    return f"{model} on {benchmark}: accuracy against {what}"


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


def _subtitle(row: Row, problems: str, bands: str) -> str:
    repeats = "1 repeat" if row.repeats == 1 else f"{row.repeats} repeats"
    return f"mean of {row.problems} {problems} × {repeats}; {bands}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", required=True, type=Path, help="accuracy.csv")
    parser.add_argument("--model", required=True)
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--against", choices=sorted(AGAINST), default="budget")
    parser.add_argument("--reference", default="dense", help="the variant without pruning")
    parser.add_argument("--problems", default="problems", help="what the subtitle calls them")
    parser.add_argument("--svg", required=True, type=Path, help="figure to write")
    parser.add_argument("--png", required=True, type=Path, help="figure to write")
    options = parser.parse_args(arguments)
    rows = rows_of(options.model, options.benchmark, options.table)
    with style.applied():
        figure = draw_scaling_curves(rows, options.problems, options.against, options.reference)
    title = title_of(options.model, options.benchmark, options.against)
    style.save(figure, options.svg, options.png, title)


if __name__ == "__main__":
    run_stage(main)
