"""Accuracy against the share of weights removed, a line for every calibration set.

A panel holds variants that differ only in how much they remove and in the set that they were pruned
on. The accuracy is that under the largest budget that a pruned variant has; the unpruned model is a
line across. A calibration set has one hue and one marker in all panels; what stands at one share is
drawn side by side.
"""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.content.formats import design
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.curves import height_for, paired_bounds, set_accuracy
from workflow_scripts.tables.drawing.labels import name_ends
from workflow_scripts.tables.drawing.looks import DENSE, HUES, MARKERS, Look

COLUMNS = 2
PANEL_HEIGHT = 3.0  # inches
APART = 0.02  # of the axis between two sets at one share
MAX_TICKS = 6
ROOM = 0.06  # of the axis beside the outer shares


def draw(source: Source) -> Figure:
    rows, masks = source.rows("accuracy"), source.masks()
    of_variants = source.options["calibrations"]
    pruned = rows["variant"].isin(masks) & rows["variant"].isin(of_variants)
    if not pruned.any():
        model = source.options["model"]
        raise NoRows(f"{source.shared}/{model}: no graded variant of several sets has a mask.json")
    largest = rows.loc[pruned, "budget"].max()
    rows = rows[rows["budget"] == largest]
    rows = paired_bounds(rows, source)
    dense = rows[rows["variant"] == source.reference]
    rows = rows[pruned.reindex(rows.index)]
    removed = {variant: 100 * mask.removed_fraction for variant, mask in masks.items()}
    rows = rows.assign(
        removed=rows["variant"].map(removed),
        panel=[of_variants[variant][0] for variant in rows["variant"]],
        calibration=[of_variants[variant][1] for variant in rows["variant"]],
    )
    sets = list(dict.fromkeys(rows["calibration"]))
    looks = {name: _look(number) for number, name in enumerate(sets)}
    names = list(dict.fromkeys(rows["panel"]))
    columns = min(len(names), COLUMNS)
    known = f"; black: {source.reference}" if len(dense) else ""
    figure = style.new_figure(
        0.4 + math.ceil(len(names) / columns) * height_for(len(sets), PANEL_HEIGHT, style.SMALL),
        f"budget {largest}; {design(rows.iloc[0])}; 95 % intervals of the difference{known}",
        sets,
    )
    panels = style.panels(figure, len(names), columns)
    left, right = rows["removed"].min(), rows["removed"].max()
    width = (right - left) or 1.0
    shares = sorted({*rows["removed"].round()})
    named = []
    for axes, name in zip(panels, names, strict=True):
        set_accuracy(axes)
        axes.set_ylabel("")
        axes.set_xlim(left - ROOM * width, right + ROOM * width)
        if len(shares) <= MAX_TICKS:
            axes.set_xticks(shares)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.tick_params(axis="x", length=3, width=0.8)
        for accuracy in dense["accuracy"]:
            axes.axhline(accuracy, color=DENSE.colour, linewidth=DENSE.width / 2, zorder=2)
        style.name_panel(axes, name, columns)
        lines = dict(list(rows[rows["panel"] == name].groupby("calibration", sort=False)))
        ends = {}
        for number, (one, line) in enumerate(lines.items()):
            shift = (number - (len(lines) - 1) / 2) * APART * width
            ends[one] = _draw_line(axes, line.sort_values("removed"), looks[one], shift, number)
        named.append((axes, ends, looks))
    figure.supxlabel("removed, % of the linear weights of all blocks", fontsize=style.FONT)
    figure.supylabel("accuracy", fontsize=style.FONT)
    name_ends(named, style.SMALL)
    return figure


def _look(number: int) -> Look:
    hue, text = HUES[number % len(HUES)]
    return Look(hue, hue, text, MARKERS[number % len(MARKERS)], dashes=(), width=1.5)


def _draw_line(
    axes: Axes, line: pd.DataFrame, look: Look, shift: float, number: int
) -> tuple[float, float]:
    """Draw one set's line, moved aside by `shift`; where it ends."""
    across = line["removed"] + shift
    axes.errorbar(
        across, line["accuracy"],
        yerr=[line["accuracy"] - line["ci_low"], line["ci_high"] - line["accuracy"]],
        color=look.colour, linewidth=look.width, marker=look.marker, markersize=style.MARKER,
        elinewidth=0.8, zorder=3 + number, clip_on=False,
    )  # fmt: skip
    return across.iloc[-1], line["accuracy"].iloc[-1]
