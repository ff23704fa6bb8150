"""Accuracy against budget or tokens in many panels: one for every way of pruning, dense in each.

For runs with so many variants that their lines would cover each other in one panel. Variants whose
names differ only in a last number share a panel and are named there by what differs.
"""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.tables.content.rows import Row
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

COLUMNS = 4
# inches
LEFT, BOTTOM = 0.42, 0.56
GAP = 0.34  # right of a panel, for the names of its lines
HEIGHT = 1.1  # of a panel
NAME = 0.34  # above a panel
SIZE = 0.8  # of lines and markers, for panels this small

Curves = Mapping[str, Sequence[Row]]


def draw_panels(
    curves: Curves,
    reference: str,
    families: Mapping[str, Sequence[str]],
    looks: Mapping[str, style.Look],
    against: str,
) -> Figure:
    """The figure, without its title: a panel for each of the families, `reference` in all.

    Each curve is in the order of its budgets.
    """
    across = AGAINST[against]
    rows = math.ceil(len(families) / COLUMNS)
    width = (style.WIDTH - LEFT) / COLUMNS - GAP
    total = BOTTOM + rows * (HEIGHT + NAME) + style.HEAD - NAME / 2
    figure = Figure(figsize=(style.WIDTH, total), dpi=style.DPI)
    places = sorted({across(row) for curve in curves.values() for row in curve})
    top = _top(curves, reference)
    for number, (name, members) in enumerate(families.items()):
        row, column = divmod(number, COLUMNS)
        left = LEFT + column * (width + GAP)
        bottom = BOTTOM + (rows - 1 - row) * (HEIGHT + NAME)
        axes = style.add_axes(figure, left, bottom, width, HEIGHT)
        set_across(axes, places, width, against)
        set_accuracy(axes, top, is_labelled=column == 0)
        axes.tick_params(labelsize=style.SMALL)
        if number + COLUMNS < len(families):  # another panel stands below
            axes.set_xticklabels([])
        for order, variant in enumerate([reference, *members]):
            if variant == reference:
                draw_band(axes, curves[variant], across, looks[variant])
            draw_curve(axes, curves[variant], across, looks[variant], SIZE, 3 + order)
        _name_panel(axes, name, looks[members[0]].text_colour, width)
        ends = {v.removeprefix(name).strip("-_"): curves[v][-1].accuracy for v in members}
        _name_lines(axes, ends, looks[members[0]].text_colour, top, width)
    middle = (LEFT + style.WIDTH - GAP) / 2 / style.WIDTH
    figure.text(middle, 0.1 / total, LABELS[against], ha="center", va="bottom")
    return figure


def _top(curves: Curves, reference: str) -> float:
    """Where the axes end: a fifth above which nothing is drawn."""
    highest = max(
        row.ci_high if variant == reference else row.accuracy
        for variant, curve in curves.items()
        for row in curve
    )
    return max(math.ceil(5 * highest - 1e-9), 1) / 5


def _name_panel(axes: Axes, name: str, colour: str, width: float) -> None:
    """A long name is set smaller, so that it ends before the next panel."""
    size = min(style.FONT, style.FONT * (width + GAP - 0.08) / style.text_width(name))
    axes.text(
        0, 1 + 0.09 / HEIGHT, name, transform=axes.transAxes, color=colour, fontsize=size,
        va="bottom", ha="left",
    )  # fmt: skip


def _name_lines(
    axes: Axes, ends: Mapping[str, float], colour: str, top: float, width: float
) -> None:
    """What is left of the lines' names, right of their ends; nothing of one that has no level."""
    gap = style.SMALL * 1.2 / 72 / HEIGHT * top
    for (text, _), y in zip(ends.items(), spread(list(ends.values()), gap, 0, top), strict=True):
        axes.text(
            1 + 0.07 / width, y, text, transform=axes.get_yaxis_transform(), color=colour,
            fontsize=style.SMALL, va="center_baseline", ha="left",
        )  # fmt: skip
