"""Accuracy against budget of every dynamic variant beside static ones that lack as many weights.

A panel for each, with the dense model and, of every kind of pruning, the variants of which a token
uses about as much of the blocks' weights: those that the comparison pairs it with.
"""

import math

from matplotlib.figure import Figure

from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.content.formats import design
from workflow_scripts.tables.content.removals import percent, unused_of
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.curves import (
    LABELS,
    curves_of,
    draw_band,
    draw_curve,
    ends_of,
    places_of,
    reference_of,
    set_accuracy,
    set_across,
)
from workflow_scripts.tables.drawing.labels import LINE_HEIGHT, name_ends, thin_ticks
from workflow_scripts.tables.drawing.looks import family_looks_of

COLUMNS = 2
PANEL_HEIGHT = 1.6  # inches
PANEL_SIZE = 0.8  # of lines and markers


def draw(source: Source) -> Figure:
    curves, looks = curves_of(source), family_looks_of(source)
    reference = reference_of(curves, source)
    variants = [variant for variant in source.dynamic if variant in curves]
    if not variants:
        raise NoRows(f"{source.tables}/accuracy.csv: no row of a dynamic variant")
    partners = _partners(source)
    shown = {
        variant: [reference, *partners.get(variant, ()), variant]
        if variant != reference
        else [variant]
        for variant in variants
    }
    columns = min(COLUMNS, len(variants))
    most = max(map(len, shown.values()))
    height = max(PANEL_HEIGHT, 0.5 + most * style.SMALL * LINE_HEIGHT / 72)
    note = f"mean of {design(curves[reference].iloc[0])}"
    if any(source.ways[v].recovery for names in shown.values() for v in names):
        note += "; hollow: trained after pruning"
    figure = style.new_figure(
        0.5 + math.ceil(len(variants) / columns) * height,
        f"{note}; band: 95 % interval of the difference to {reference}",
    )
    panels = style.panels(figure, len(variants), columns)
    set_across(panels[0], places_of(curves), "budget")
    highest = max(curves[v]["accuracy"].max() for names in shown.values() for v in names)
    named, masks = [], source.masks()
    for axes, variant in zip(panels, variants, strict=True):
        set_accuracy(axes, max(math.ceil(5 * highest - 1e-9), 1) / 5)
        axes.set_ylabel("")
        axes.tick_params(labelsize=style.SMALL, length=0)
        draw_band(axes, curves[variant], looks[variant])
        for order, name in enumerate(shown[variant]):
            draw_curve(axes, curves[name], looks[name], PANEL_SIZE, 3 + order)
        unused = percent(unused_of(masks[variant])) if variant in masks else ""
        title = f"{variant}, {unused} % unused" if unused else variant
        style.name_panel(axes, title, columns, looks[variant].text_colour)
        ends = ends_of({name: curves[name] for name in shown[variant]})
        named.append((axes, ends, looks))
    figure.supxlabel(LABELS["budget"], fontsize=style.FONT)
    figure.supylabel("accuracy", fontsize=style.FONT)
    name_ends(named, style.SMALL)
    thin_ticks(panels[-1])
    return figure


def _partners(source: Source) -> dict[str, list[str]]:
    """The static variants that each dynamic one is compared with on a figure's benchmark."""
    rows = source.table("comparison")
    rows = rows[rows["family"].str.startswith("unused")]
    for name in ("model", "benchmark"):
        rows = rows[rows[name] == source.options[name]]
    found = rows.groupby("variant", sort=False)["reference"].unique()
    return {variant: [*names] for variant, names in found.items()}
