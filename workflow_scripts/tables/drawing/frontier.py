"""Accuracy against price, a line for every variant through its budgets, and the Pareto front.

`price` is a column of costs. The front, a broad grey line, joins the points than which nothing is
more accurate for as little. Where there are many ways of pruning each has a panel, with
the dense model and the front of all variants in it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.content.formats import design
from workflow_scripts.tables.content.price_units import PRICES, unit_for
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.curves import (
    MAX_TOGETHER,
    draw_curve,
    ends_of,
    height_for,
    places_of,
    reference_of,
    set_accuracy,
    set_across,
)
from workflow_scripts.tables.drawing.labels import LINE_HEIGHT, name_ends, thin_ticks
from workflow_scripts.tables.drawing.looks import Look, looks_of
from workflow_scripts.tables.ways import members_of

MIN_PANELS = 3
COLUMNS = 3
PANEL_SIZE = 0.8  # of lines and markers in panels
HEIGHT, PANEL_HEIGHT = 3.7, 1.6  # inches
FRONT = {"color": "#bdbdbd", "linewidth": 5.0, "solid_joinstyle": "round", "zorder": 1}
LABELS = {
    "flops": "work of an answer (mean, {unit}) of a dense kernel",
    "kept_flops": "work of an answer (mean, {unit}) without weights that are zero",
    "moved_bytes": "bytes that an answer moves by itself (mean, {unit})",
    "held_bytes": "bytes in memory at the end of an answer (mean, {unit})",
    "seconds": "time of an answer (mean, {unit}), in the batches of its job",
}


def draw(source: Source) -> Figure:
    price, table = source.options["price"], source.rows("front")
    rows = table[table["price"] == price]
    if rows.empty:
        raise NoRows(f"{source.tables}/front.csv: nothing is known of {PRICES[price].name}")
    unit, symbol = unit_for(rows["at"], PRICES[price].unit)
    rows = rows.assign(across=rows["at"] / unit)
    front = rows[rows["on_front"] == "yes"].sort_values("across")
    by_variant = rows.sort_values("across", kind="stable").groupby("variant", sort=False)
    curves = dict(list(by_variant))
    curves = {variant: curves[variant] for variant in rows["variant"].unique()}
    looks, reference = looks_of(source), reference_of(curves, source)
    members = members_of(source.ways, (variant for variant in curves if variant != reference))
    accuracy = source.rows("accuracy")
    note = f"mean of {design(accuracy.iloc[0])}; black: {reference}; grey: the Pareto front"
    label = LABELS[price].format(unit=symbol)
    if len(curves) <= MAX_TOGETHER or len(members) < MIN_PANELS:
        figure = style.new_figure(height_for(len(curves), HEIGHT), note, curves)
        axes = figure.subplots()
        set_across(axes, places_of(curves), price)
        _draw(axes, front, curves, looks, list(curves), 1.0)
        axes.set_xlabel(label, labelpad=5)
        name_ends([(axes, ends_of(curves), looks)], style.FONT)
        thin_ticks(axes)
        return figure
    most = max(map(len, members.values()))
    height = max(PANEL_HEIGHT, 0.5 + most * style.SMALL * LINE_HEIGHT / 72)
    figure = style.new_figure(0.5 + math.ceil(len(members) / COLUMNS) * height, note)
    panels = style.panels(figure, len(members), COLUMNS)
    set_across(panels[0], places_of(curves), price)
    named = []
    for axes, (way, variants) in zip(panels, members.items(), strict=True):
        _draw(axes, front, curves, looks, [reference, *variants], PANEL_SIZE)
        axes.set_ylabel("")
        axes.tick_params(labelsize=style.SMALL, length=0)
        style.name_panel(axes, way, COLUMNS, looks[variants[0]].text_colour)
        named.append((axes, *_levels(source, curves, looks, variants)))
    figure.supxlabel(label, fontsize=style.FONT)
    figure.supylabel("accuracy", fontsize=style.FONT)
    name_ends(named, style.SMALL)
    thin_ticks(panels[-1])
    return figure


def _draw(
    axes: Axes,
    front: pd.DataFrame,
    curves: Mapping[str, pd.DataFrame],
    looks: Mapping[str, Look],
    variants: Sequence[str],
    size: float,
) -> None:
    set_accuracy(axes)
    axes.plot(front["across"], front["accuracy"], **FRONT)
    for number, variant in enumerate(variants):
        thinner = style.line_size(number, len(variants))
        draw_curve(axes, curves[variant], looks[variant], size * thinner, 3 + number)


def _levels(
    source: Source,
    curves: Mapping[str, pd.DataFrame],
    looks: Mapping[str, Look],
    variants: Iterable[str],
) -> tuple[dict[str, tuple[float, float]], dict[str, Look]]:
    """The ends of a panel's lines and their looks, by how much each variant removes."""
    levels = {source.ways[v].level: v for v in variants if source.ways[v].level}
    ends = ends_of({level: curves[variant] for level, variant in levels.items()})
    return ends, {level: looks[variant] for level, variant in levels.items()}
