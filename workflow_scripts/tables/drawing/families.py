"""Accuracy against budget, with one colour for each kind of pruning: what is taken out.

The shade of a line says how much of all parameters is gone, or, with dynamic variants, how much of
the blocks' weights a token does not use; its marker says which way of pruning it is.
Where there are many variants every family has a panel of its own, with the others in grey behind
it, since what is compared are families.
"""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.content.formats import design
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.curves import (
    LABELS,
    MAX_BANDS,
    MAX_TOGETHER,
    Curves,
    curves_of,
    draw_band,
    draw_curve,
    draw_together,
    ends_of,
    height_for,
    places_of,
    reference_of,
    set_accuracy,
    set_across,
)
from workflow_scripts.tables.drawing.labels import name_ends, thin_ticks
from workflow_scripts.tables.drawing.looks import Look, family_looks_of
from workflow_scripts.tables.ways import DYNAMIC

KINDS = {
    "unstructured": "unstructured: single weights",
    "depth": "depth: whole blocks",
    "width": "width: heads and neurons",
    "slicing": "slicing: hidden states",
    DYNAMIC: "dynamic: sublayers, token by token",
}
# inches
HEIGHT = 3.9
PANEL_HEIGHT = 1.7
PANEL_SIZE = 0.8  # of lines and markers in panels
BEHIND = "#d4d4d4"


def draw(source: Source) -> Figure:
    curves = curves_of(source)
    reference = reference_of(curves, source)
    members: dict[str, list[str]] = {}
    dense = [reference]  # and the dense model with a recovery
    for variant in curves:
        if variant != reference:
            family = source.ways[variant].family
            (dense if family == "none" else members.setdefault(family, [])).append(variant)
    if len(members) < 2:
        raise NoRows(f"{source.tables}/accuracy.csv: variants of no two families")
    looks = family_looks_of(source)
    more = "unused" if DYNAMIC in members else "removed"
    note = f"mean of {design(curves[reference].iloc[0])}; darker: more {more}"
    if any(source.ways[variant].recovery for variant in curves):
        note += "; hollow: trained after pruning"
    if len(curves) > MAX_TOGETHER:
        return _in_panels(curves, dense, members, looks, note)
    few = len(curves) <= MAX_BANDS
    note += f"; band{'s' if few else ''}: 95 % interval{'s' if few else f' of {reference}'}"
    figure = style.new_figure(height_for(len(curves), HEIGHT), note, curves)
    axes = figure.subplots()
    handles = [
        Line2D([], [], color=looks[variants[0]].hue, linewidth=1.7, label=family)
        for family, variants in members.items()
    ]
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(handles), frameon=False,
        fontsize=style.SMALL, borderaxespad=0.3, handlelength=1.4, columnspacing=1.6,
        labelcolor=[looks[variants[0]].text_colour for variants in members.values()],
    )  # fmt: skip
    draw_together(axes, curves, list(curves) if few else [reference], looks)
    return figure


def _in_panels(
    curves: Curves,
    dense: Sequence[str],
    members: Mapping[str, Sequence[str]],
    looks: Mapping[str, Look],
    note: str,
) -> Figure:
    """A panel below the other for the `members` of each family, as high as their names need.

    The first of the `dense` is the reference.
    """
    reference = dense[0]
    names = [variant for variants in members.values() for variant in variants]
    most = max(map(len, members.values()))
    height = height_for(most, PANEL_HEIGHT, style.SMALL)
    note += f"; grey: other families; black: {reference} with 95 % interval"
    figure = style.new_figure(0.4 + len(members) * height, note, names)
    panels = style.panels(figure, len(members), 1)
    set_across(panels[0], places_of(curves), "budget")
    named = []
    for axes, (family, variants) in zip(panels, members.items(), strict=True):
        set_accuracy(axes)
        axes.tick_params(labelsize=style.SMALL)
        draw_band(axes, curves[reference], looks[reference])
        for variant in (v for v in names if v not in variants):
            curve = curves[variant]
            axes.plot(
                curve["across"], curve["accuracy"], color=BEHIND, linewidth=0.9, zorder=2.5,
                clip_on=False,
            )  # fmt: skip
        for order, variant in enumerate([*dense, *variants]):
            draw_curve(axes, curves[variant], looks[variant], PANEL_SIZE, 3 + order)
        colour = looks[variants[0]].text_colour
        style.name_panel(axes, KINDS.get(family, family), 1, colour)
        named.append((axes, ends_of({v: curves[v] for v in variants}), looks))
    panels[-1].set_xlabel(LABELS["budget"], labelpad=5)
    name_ends(named, style.SMALL)
    thin_ticks(panels[-1])
    return figure
