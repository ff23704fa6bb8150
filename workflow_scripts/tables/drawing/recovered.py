"""Accuracy before and after the training that follows pruning, of one model on one benchmark.

A row for every variant with a recovery: the one that it starts from, filled, and itself, hollow,
joined by an arrow. Lines across all rows are the dense model and, of each training, the dense model
with it, which has the first rows: what the training does where nothing was pruned.
"""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.content.formats import design
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.looks import HOLLOW, Look, looks_of

ROW = 0.3  # inches
APART = 0.13  # rows between the marks of a variant and the row's middle


def draw(source: Source) -> Figure:
    rows = source.rows("recovered")
    largest = rows["budget"].max()
    rows = rows[rows["budget"] == largest]
    pruned = rows[rows["start"] != source.reference]
    controls = rows[rows["start"] == source.reference]
    if pruned.empty:
        raise NoRows(f"{source.tables}/recovered.csv: nothing but {source.reference} was trained")
    looks, one = looks_of(source), rows.iloc[0]
    shown = pd.concat([controls, pruned])
    figure = style.new_figure(
        0.75 + len(shown) * ROW,
        f"budget {largest}; {design(one)}; 95 % intervals of the difference to the start",
        shown["variant"],
    )
    axes = figure.subplots()
    dense = one.dense_accuracy
    axes.axvline(dense, color=style.INK, linewidth=1.6, zorder=1)
    for control in controls.itertuples():
        dashes = (0, looks[control.variant].dashes or (4.2, 1.6))
        axes.axvline(control.accuracy, color=style.INK, linewidth=1.2, linestyle=dashes, zorder=1)
    for y, row in enumerate(shown.itertuples()):
        _draw_row(axes, row, y, looks[row.variant])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_yticks(range(len(shown)), labels=list(shown["variant"]))
    for label, variant in zip(axes.get_yticklabels(), shown["variant"], strict=True):
        label.set_color(looks[variant].text_colour)
    axes.tick_params(axis="y", length=0, pad=5)
    axes.tick_params(axis="x", length=3, width=0.8)
    axes.grid(axis="x", color=style.GRID, linewidth=0.8)
    most = max(shown["accuracy"].max(), shown["start_accuracy"].fillna(0).max(), dense)
    axes.set_xlim(0, min(1.0, math.ceil(10 * most + 0.2) / 10))
    axes.set_xlabel("accuracy", labelpad=4)
    _add_legend(axes, source.reference, controls)
    return figure


def _draw_row(axes: Axes, row, y: int, look: Look) -> None:
    hue, more = look.hue, {"markersize": style.MARKER, "marker": look.marker, "clip_on": False}
    if not math.isnan(row.start_accuracy):
        # the difference's interval, set on the start's accuracy
        low, high = row.start_accuracy + row.ci_low, row.start_accuracy + row.ci_high
        axes.hlines(y + APART, max(low, 0), min(high, 1), color=hue, linewidth=0.9, zorder=2)
        axes.plot(row.start_accuracy, y - APART, color=hue, zorder=4, **more)
        axes.annotate(
            "", (row.accuracy, y + APART), (row.start_accuracy, y - APART), zorder=3,
            arrowprops={"arrowstyle": "->", "color": hue, "linewidth": 1.0, "shrinkB": 4},
        )  # fmt: skip
    axes.plot(row.accuracy, y + APART, color=hue, markerfacecolor=HOLLOW, zorder=4, **more)


def _add_legend(axes: Axes, reference: str, controls: pd.DataFrame) -> None:
    mark = {"color": style.FAINT_INK, "marker": "s", "markersize": 4.5, "linestyle": "none"}
    handles = [
        Line2D([], [], color=style.INK, linewidth=1.6, label=reference),
        *(
            Line2D([], [], color=style.INK, linewidth=1.2, linestyle=(0, (4.2, 1.6)), label=name)
            for name in controls["variant"]
        ),
        Line2D([], [], label="pruned", **mark),
        Line2D([], [], label="and trained", markerfacecolor=HOLLOW, **mark),
    ]
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(handles),
        frameon=False, fontsize=style.SMALL, borderaxespad=0.2, handlelength=1.6,
        columnspacing=1.4,
    )  # fmt: skip
