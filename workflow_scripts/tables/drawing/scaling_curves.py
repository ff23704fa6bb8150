"""Accuracy against budget or tokens, a line for every variant of one model on one benchmark.

With `against` = `tokens` a point stands at the mean of the tokens really used, trace and answer.
Every line is named right of its end, in the order of the ends. Bands are 95 % intervals, those of
pruned variants of their difference to the dense model. Where there are so many variants that bands
would cover each other, one shows the scale; where lines would, every way of pruning has a panel of
its own, with the dense model in each.
"""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.tables.content.formats import design
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.curves import (
    LABELS,
    draw_band,
    draw_curve,
    paired_bounds,
    set_accuracy,
    set_across,
)
from workflow_scripts.tables.drawing.labels import LINE_HEIGHT, name_ends, thin_ticks
from workflow_scripts.tables.drawing.looks import Look, looks_of
from workflow_scripts.tables.ways import members_of

MAX_BANDS = 8  # variants that have a band each
MAX_TOGETHER = 10  # variants in one panel, where they are pruned in different ways
MIN_PANELS = 3
COLUMNS = 4
PANEL_SIZE = 0.8  # of lines and markers in panels
# inches
HEIGHT = 3.7
PANEL_HEIGHT = 1.4

Curves = Mapping[str, pd.DataFrame]


def draw(source: Source) -> Figure:
    """A variant may lack a budget; its line then runs from neighbour to neighbour.

    Where the reference has no rows the first variant's band stands for the others'.
    """
    rows, against = source.rows("accuracy"), source.options.get("against", "budget")
    tokens = rows["trace_tokens"] + rows["answer_tokens"]
    rows = rows.assign(across=rows["budget"] if against == "budget" else tokens)
    rows = paired_bounds(rows, source)
    curves = dict(list(rows.sort_values("budget", kind="stable").groupby("variant", sort=False)))
    curves = {variant: curves[variant] for variant in rows["variant"].unique()}
    looks = looks_of(source)
    reference = source.reference if source.reference in curves else next(iter(curves))
    members = members_of(source.ways, (variant for variant in curves if variant != reference))
    in_panels = len(curves) > MAX_TOGETHER and len(members) >= MIN_PANELS
    if in_panels:
        bands = f"black: {reference}, with its 95 % interval"
    elif len(curves) > MAX_BANDS:
        bands = f"band: 95 % interval of {reference}"
    else:
        bands = f"bands: 95 % intervals, of pruned variants for the difference to {reference}"
    one = rows.iloc[0]
    note = f"mean of {design(one)}; {bands}"
    if in_panels:
        removed = {variant: mask.removed_fraction for variant, mask in source.masks().items()}
        for variants in members.values():
            variants.sort(key=lambda variant: removed.get(variant, 0.0))
        levels = {variant: way.level for variant, way in source.ways.items()}
        return _in_panels(curves, reference, members, levels, looks, against, note)
    banded = [reference] if len(curves) > MAX_BANDS else list(curves)
    return _together(curves, banded, looks, against, note)


def _together(
    curves: Curves,
    banded: Sequence[str],
    looks: Mapping[str, Look],
    against: str,
    note: str,
) -> Figure:
    height = max(HEIGHT, 0.6 + len(curves) * style.FONT * LINE_HEIGHT / 72)
    figure = style.new_figure(height, note, curves)
    axes = figure.subplots()
    set_across(axes, sorted({x for curve in curves.values() for x in curve["across"]}), against)
    set_accuracy(axes)
    axes.set_xlabel(LABELS[against], labelpad=5)
    for number, (variant, curve) in enumerate(curves.items()):
        if variant in banded:
            draw_band(axes, curve, looks[variant])
        size = style.line_size(number, len(curves))
        draw_curve(axes, curve, looks[variant], size, 3 + number)
    ends = {v: tuple(curve[["across", "accuracy"]].iloc[-1]) for v, curve in curves.items()}
    name_ends([(axes, ends, looks)], style.FONT)
    thin_ticks(axes)
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
    set_across(
        panels[0], sorted({x for curve in curves.values() for x in curve["across"]}), against
    )
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
        ends = {t: tuple(curves[v][["across", "accuracy"]].iloc[-1]) for t, v in named_by.items()}
        named.append((axes, ends, {level: looks[v] for level, v in named_by.items()}))
    figure.supxlabel(LABELS[against], fontsize=style.FONT)
    figure.supylabel("accuracy", fontsize=style.FONT)
    name_ends(named, style.SMALL)
    thin_ticks(panels[-1])
    return figure
