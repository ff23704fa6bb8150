"""Accuracy against budget or tokens, a line for every variant of one model on one benchmark.

With `against` = `tokens` a point stands at the mean of the tokens really used, trace and answer.
Every line is named at its right end, in the order of the ends. Bands are 95 % intervals; where
there are so many variants that their bands would cover each other, one band shows the scale; where
their lines would, every way of pruning has a panel of its own, with the dense model in each.
"""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.curves import (
    LABELS,
    draw_band,
    draw_curve,
    set_accuracy,
    set_across,
)
from workflow_scripts.tables.drawing.labels import LINE_HEIGHT, name_ends, thin_ticks

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
    curves = dict(list(rows.sort_values("budget", kind="stable").groupby("variant", sort=False)))
    curves = {variant: curves[variant] for variant in rows["variant"].unique()}
    looks = style.looks(list(curves), source.reference)
    reference = source.reference if source.reference in curves else next(iter(curves))
    families = style.families(variant for variant in curves if variant != reference)
    in_panels = len(curves) > MAX_TOGETHER and len(families) >= MIN_PANELS
    if in_panels:
        bands = f"black: {reference}, with its 95 % interval"
    elif len(curves) > MAX_BANDS:
        bands = f"band: 95 % interval of {reference}"
    else:
        bands = "bands: 95 % intervals"
    one = rows.iloc[0]
    repeats = "1 repeat" if one.repeats == 1 else f"{one.repeats} repeats"
    words = source.options["title"], f"mean of {one.problems} problems × {repeats}; {bands}"
    if in_panels:
        return _in_panels(curves, reference, families, looks, against, words)
    banded = [reference] if len(curves) > MAX_BANDS else list(curves)
    return _together(curves, banded, looks, against, words)


def _together(
    curves: Curves,
    banded: Sequence[str],
    looks: Mapping[str, style.Look],
    against: str,
    words: tuple[str, str],
) -> Figure:
    height = max(HEIGHT, 0.6 + len(curves) * style.FONT * LINE_HEIGHT / 72)
    figure = style.new_figure(height, *words, curves)
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
    families: Mapping[str, Sequence[str]],
    looks: Mapping[str, style.Look],
    against: str,
    words: tuple[str, str],
) -> Figure:
    """Lines are named by what is left of their names, in the order of their levels."""
    lines = math.ceil(len(families) / COLUMNS)
    figure = style.new_figure(0.5 + lines * PANEL_HEIGHT, *words)
    panels = style.panels(figure, len(families), COLUMNS)
    # a fifth above which nothing is drawn
    highest = max(
        curve["ci_high" if variant == reference else "accuracy"].max()
        for variant, curve in curves.items()
    )
    set_across(
        panels[0], sorted({x for curve in curves.values() for x in curve["across"]}), against
    )
    named = []
    for axes, (name, members) in zip(panels, families.items(), strict=True):
        set_accuracy(axes, max(math.ceil(5 * highest - 1e-9), 1) / 5)
        axes.tick_params(labelsize=style.SMALL, length=0)
        draw_band(axes, curves[reference], looks[reference])
        for order, variant in enumerate([reference, *members]):
            draw_curve(axes, curves[variant], looks[variant], PANEL_SIZE, 3 + order)
        look = looks[members[0]]
        style.name_panel(axes, name, COLUMNS, look.text_colour)
        levels = {variant.removeprefix(name).strip("-_"): variant for variant in members}
        ends = {text: (0, curves[v]["accuracy"].iloc[-1]) for text, v in levels.items()}
        named.append((axes, ends, dict.fromkeys(ends, look)))
    figure.supxlabel(LABELS[against], fontsize=style.FONT)
    name_ends(named, style.SMALL, leader=False)
    thin_ticks(panels[-1])
    return figure
