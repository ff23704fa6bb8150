"""Accuracy against the share of weights removed, a line for every way of pruning.

Variants whose names differ only in a last number are one line, which begins at the dense model. The
accuracy is that under the largest budget that a pruned variant has.
"""

import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.curves import set_accuracy
from workflow_scripts.tables.drawing.labels import LINE_HEIGHT, name_ends

HEIGHT = 3.7  # inches


def draw(source: Source) -> Figure:
    rows, masks, reference = source.rows("accuracy"), source.masks(), source.reference
    pruned = rows["variant"].isin(masks) & (rows["variant"] != reference)
    if not pruned.any():
        model = source.options["model"]
        raise NoRows(f"{source.results}/{model}: no graded variant has a mask.json")
    largest = rows.loc[pruned, "budget"].max()
    rows = rows[rows["budget"] == largest].copy()
    shares = {variant: 100 * mask.removed_fraction for variant, mask in masks.items()}
    rows["removed"] = rows["variant"].map(shares)
    dense = rows[rows["variant"] == reference].assign(removed=0.0)
    others = rows[pruned.reindex(rows.index)]
    lines = {
        name: pd.concat([dense, members.sort_values("removed")])
        for name, members in others.groupby(others["variant"].map(style.family_name), sort=False)
    }
    one = rows.iloc[0]
    figure = style.new_figure(
        max(HEIGHT, 0.6 + len(lines) * style.FONT * LINE_HEIGHT / 72),
        source.options["title"],
        f"budget {largest}; {one.problems} problems × {one.repeats} repeats; 95 % intervals",
        lines,
    )
    axes = figure.subplots()
    looks = style.looks([reference, *lines], reference)
    for number, (name, line) in enumerate(lines.items()):
        look = looks[name]
        axes.errorbar(
            line["removed"], line["accuracy"],
            yerr=[line["accuracy"] - line["ci_low"], line["ci_high"] - line["accuracy"]],
            color=look.colour, linewidth=look.width, marker=look.marker, markersize=style.MARKER,
            markeredgecolor=look.colour, markerfacecolor=look.colour if look.filled else "white",
            elinewidth=0.8, zorder=3 + number, clip_on=False,
        )  # fmt: skip
    set_accuracy(axes)
    right = others["removed"].max()
    axes.set_xlim(-0.03 * right, right)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.tick_params(axis="x", length=3, width=0.8)
    axes.set_xlabel("weights removed, % of all linear weights", labelpad=5)
    ends = {name: tuple(line[["removed", "accuracy"]].iloc[-1]) for name, line in lines.items()}
    name_ends([(axes, ends, looks)], style.FONT)
    return figure
