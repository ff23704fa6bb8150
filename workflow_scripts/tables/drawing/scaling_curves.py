"""Accuracy against budget or tokens, a line for every variant of one model on one benchmark.

With `against` = `tokens` a point stands at the mean of the tokens really used, trace and answer.
Every line is named right of its end, in the order of the ends. Bands are 95 % intervals, those of
pruned variants of their difference to the dense model. Where there are so many variants that bands
would cover each other, one shows the scale; where lines would, every way of pruning has a panel of
its own, with the dense model in each.
"""

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from workflow_scripts.tables.content.formats import design
from workflow_scripts.tables.content.removals import unused_of
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
from workflow_scripts.tables.drawing.labels import LINE_HEIGHT, name_ends, thin_ticks
from workflow_scripts.tables.drawing.looks import Look, looks_of
from workflow_scripts.tables.ways import members_of

MIN_PANELS = 3
COLUMNS = 4
PANEL_SIZE = 0.8  # of lines and markers in panels
# inches
HEIGHT = 3.7
PANEL_HEIGHT = 1.4


def draw(source: Source) -> Figure:
    """A variant may lack a budget; its line then runs from neighbour to neighbour.

    Where the reference has no rows the first variant's band stands for the others'.
    """
    against = source.options.get("against", "budget")
    curves, looks = curves_of(source, against), looks_of(source)
    reference = reference_of(curves, source)
    members = members_of(source.ways, (variant for variant in curves if variant != reference))
    in_panels = len(curves) > MAX_TOGETHER and len(members) >= MIN_PANELS
    if in_panels:
        bands = f"black: {reference}, with its 95 % interval"
    elif len(curves) > MAX_BANDS:
        bands = f"band: 95 % interval of {reference}"
    else:
        bands = f"bands: 95 % intervals, of pruned variants for the difference to {reference}"
    note = f"mean of {design(curves[reference].iloc[0])}; {bands}"
    if any(source.ways[variant].recovery for variant in curves):
        note += "; hollow: trained after pruning"
    if in_panels:
        removed = {variant: unused_of(mask) for variant, mask in source.masks().items()}
        for variants in members.values():
            variants.sort(key=lambda variant: removed.get(variant, 0.0))
        levels = {variant: way.level for variant, way in source.ways.items()}
        return _in_panels(curves, reference, members, levels, looks, against, note)
    figure = style.new_figure(height_for(len(curves), HEIGHT), note, curves)
    banded = [reference] if len(curves) > MAX_BANDS else list(curves)
    draw_together(figure.subplots(), curves, banded, looks, against)
    return figure


def _in_panels(
    curves: Curves,
    reference: str,
    members: Mapping[str, Sequence[str]],
    levels: Mapping[str, str],
    looks: Mapping[str, Look],
    against: str,
    note: str,
) -> Figure:
    """A panel for the `members` of each way of pruning; lines are named by their `levels`."""
    lines = math.ceil(len(members) / COLUMNS)
    most = max(map(len, members.values()))
    height = max(PANEL_HEIGHT, 0.5 + most * style.SMALL * LINE_HEIGHT / 72)
    figure = style.new_figure(0.5 + lines * height, note)
    panels = style.panels(figure, len(members), COLUMNS)
    # a fifth above which nothing is drawn
    highest = max(
        curve["ci_high" if variant == reference else "accuracy"].max()
        for variant, curve in curves.items()
    )
    set_across(panels[0], places_of(curves), against)
    named = []
    for axes, (name, variants) in zip(panels, members.items(), strict=True):
        set_accuracy(axes, max(math.ceil(5 * highest - 1e-9), 1) / 5)
        axes.set_ylabel("")
        axes.tick_params(labelsize=style.SMALL, length=0)
        draw_band(axes, curves[reference], looks[reference])
        for order, variant in enumerate([reference, *variants]):
            draw_curve(axes, curves[variant], looks[variant], PANEL_SIZE, 3 + order)
        style.name_panel(axes, name, COLUMNS, looks[variants[0]].text_colour)
        named_by = {levels[variant]: variant for variant in variants if levels[variant]}
        ends = ends_of({level: curves[variant] for level, variant in named_by.items()})
        named.append((axes, ends, {level: looks[v] for level, v in named_by.items()}))
    figure.supxlabel(LABELS[against], fontsize=style.FONT)
    figure.supylabel("accuracy", fontsize=style.FONT)
    name_ends(named, style.SMALL)
    thin_ticks(panels[-1])
    return figure
