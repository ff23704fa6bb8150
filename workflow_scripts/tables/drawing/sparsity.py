"""Accuracy against the share of weights removed, a line for every way of pruning.

The share is that of the blocks' linear weights or, with `ratio` = `removed_of_all`, of all
parameters, by which families of methods are compared: each then has one hue. Variants whose tokens
skip sublayers remove nothing and are left out of both; with `ratio` = `unused`, the share of the
blocks' linear weights that a token does not use, they stand among the others.

Variants that differ only in how much they remove are one line, which begins at the dense model, or
where they were trained after pruning at the dense model with the same training; a variant without
others of its way is a mark, since a line would claim what was not measured. The accuracy is that
under the largest budget that a pruned variant has.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from operator import attrgetter

import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.content.formats import design
from workflow_scripts.tables.content.removals import unused_of
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.curves import paired_bounds, set_accuracy
from workflow_scripts.tables.drawing.labels import LINE_HEIGHT, name_ends
from workflow_scripts.tables.drawing.looks import family_looks_of, looks_of

HEIGHT = 3.7  # inches
# by the ratio, what the axis says
LABELS = {
    "removed_fraction": "removed, % of the linear weights of all blocks",
    "removed_of_all": "removed, % of all parameters",
    "unused": "not used by a token, % of the linear weights of all blocks",
}


def _begin(
    source: Source, members: pd.DataFrame, begins: Mapping[str, pd.DataFrame]
) -> pd.DataFrame | None:
    """The row that a line of several variants begins at, if there is one."""
    recovery = source.ways[members["variant"].iloc[0]].recovery
    return begins.get(recovery) if len(members) > 1 else None


def draw(source: Source) -> Figure:
    rows, reference = source.rows("accuracy"), source.reference
    ratio = source.options.get("ratio", "removed_fraction")
    share_of = unused_of if ratio == "unused" else attrgetter(ratio)
    masks = {
        variant: mask
        for variant, mask in source.masks().items()
        if (ratio == "unused" or mask.dynamic is None) and not math.isnan(share_of(mask))
    }
    pruned = rows["variant"].isin(masks) & (rows["variant"] != reference)
    if not pruned.any():
        model = source.options["model"]
        raise NoRows(f"{source.shared}/{model}: no graded variant has a mask.json")
    largest = rows.loc[pruned, "budget"].max()
    rows = rows[rows["budget"] == largest].copy()
    shares = {variant: 100 * share_of(mask) for variant, mask in masks.items()}
    rows["removed"] = rows["variant"].map(shares)
    rows["asked"] = rows["variant"].map({variant: m.requested for variant, m in masks.items()})
    rows = paired_bounds(rows, source)
    dense = rows[rows["variant"] == reference].assign(removed=0.0)
    others = rows[pruned.reindex(rows.index)]
    by_family = ratio != "removed_fraction"
    families = {source.ways[variant].family for variant in others["variant"]} - {"none"}
    if ratio == "removed_of_all" and len(families) < 2:
        raise NoRows(f"{source.tables}/accuracy.csv: variants of no two families")
    ways = {variant: way.name for variant, way in source.ways.items()}
    begins = {"": dense} | {
        source.ways[control.variant.iloc[0]].recovery: control
        for _, control in others.groupby("variant", sort=False)
        if source.ways[control.variant.iloc[0]].family == "none"
    }
    lines = {
        name: pd.concat([_begin(source, members, begins), members.sort_values("asked")])
        for name, members in others.groupby(others["variant"].map(ways), sort=False)
    }
    one = rows.iloc[0]
    figure = style.new_figure(
        max(HEIGHT, 0.6 + len(lines) * style.FONT * LINE_HEIGHT / 72),
        f"budget {largest}; {design(one)}; 95 % intervals of the difference to {reference}",
        lines,
    )
    axes = figure.subplots()
    of_variants = family_looks_of(source) if by_family else looks_of(source)
    # a line joins several levels: one hue, and no shade of it
    looks = {name: of_variants[line["variant"].iloc[-1]] for name, line in lines.items()}
    looks = {name: replace(look, colour=look.hue) for name, look in looks.items()}
    for number, (name, line) in enumerate(lines.items()):
        look = looks[name]
        axes.errorbar(
            line["removed"], line["accuracy"],
            yerr=[line["accuracy"] - line["ci_low"], line["ci_high"] - line["accuracy"]],
            color=look.colour, linewidth=look.width, dashes=look.dashes or (None, None),
            marker=look.marker, markersize=style.MARKER, markerfacecolor=look.marker_fill,
            elinewidth=0.8,
            zorder=3 + number, clip_on=False,
        )  # fmt: skip
    set_accuracy(axes)
    left, right = min(others["removed"].min(), 0.0), others["removed"].max()
    axes.set_xlim(left - 0.03 * (right - left), right)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.tick_params(axis="x", length=3, width=0.8)
    axes.set_xlabel(LABELS[ratio], labelpad=5)
    ends = {name: tuple(line[["removed", "accuracy"]].iloc[-1]) for name, line in lines.items()}
    name_ends([(axes, ends, looks)], style.FONT)
    return figure
