"""Accuracy over sparsity and budget, a panel for every way of pruning, and where its onset is.

A tile is a variant under a budget; the first column is the dense model. The line joins the onsets:
right of it a loss is as large as the benchmark finds in 80 of 100 runs. Bars are 95 % intervals.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.tables.content.columns import rows_of
from workflow_scripts.tables.content.formats import design
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.sparsity import LABELS

COLUMNS = 2
HEIGHT = 2.3  # inches of a panel
LINE = "#d55e00"  # vermillion, beside shades from blue to yellow


def draw(source: Source) -> Figure:
    rows, masks = source.rows("accuracy"), source.masks()
    place = {name: source.options[name] for name in ("model", "benchmark")}
    onsets = rows_of(source.table("onset"), source.tables / "onset.csv", **place)
    shares = {name: 100 * mask.removed_fraction for name, mask in masks.items()}
    of_way = rows["variant"].map({name: way.name for name, way in source.ways.items()})
    ways, budgets = list(onsets["way"].unique()), sorted(onsets["budget"].unique())
    dense = rows[rows["variant"] == source.reference].assign(share=0.0)
    columns = min(COLUMNS, len(ways))
    figure = style.new_figure(
        0.5 + math.ceil(len(ways) / columns) * HEIGHT,
        f"mean of {design(rows.iloc[0])}; line: where losses begin to show, 95 % intervals",
    )
    panels = style.panels(figure, len(ways), columns)
    for axes, way in zip(panels, ways, strict=True):
        members = rows[(of_way == way) & rows["variant"].isin(shares)]
        tiles = pd.concat([dense, members.assign(share=members["variant"].map(shares))])
        grid = tiles.pivot_table(index="budget", columns="share", values="accuracy")
        grid = grid.reindex(budgets)
        heights = np.arange(len(budgets) + 1) - 0.5
        mesh = axes.pcolormesh(
            edges_of(grid.columns), heights, grid, cmap="viridis", vmin=0, vmax=1
        )
        _draw_onsets(axes, onsets[onsets["way"] == way], budgets)
        style.name_panel(axes, way, columns)
        axes.tick_params(length=2.5, width=0.8, labelsize=style.SMALL)
        axes.set_yticks(range(len(budgets)), labels=map(str, budgets))
        axes.spines["bottom"].set_visible(False)
    most = 100 * onsets["largest"].max()
    panels[0].set_xlim(0, 1.04 * most)
    bar = figure.colorbar(mesh, ax=panels, fraction=0.04, pad=0.02)
    bar.set_label("accuracy", fontsize=style.SMALL)
    bar.ax.tick_params(labelsize=style.SMALL, length=2.5)
    bar.outline.set_visible(False)
    figure.supxlabel(LABELS["removed_fraction"], fontsize=style.FONT)
    figure.supylabel("budget (thinking tokens)", fontsize=style.FONT)
    return figure


def _draw_onsets(axes: Axes, onsets: pd.DataFrame, budgets: Sequence[int]) -> None:
    """A mark for every budget that has an onset; a bound that is beyond the levels ends there."""
    known = onsets[np.isfinite(onsets["onset"])]
    heights = [budgets.index(budget) for budget in known["budget"]]
    at = 100 * known["onset"]
    high = np.minimum(known["ci_high"], known["largest"])
    reach = [at - 100 * known["ci_low"], 100 * high - at]
    axes.errorbar(
        at, heights, xerr=np.maximum(reach, 0), color=LINE, linewidth=1.8, marker="o",
        markersize=4.5, markeredgecolor="white", elinewidth=1.2, capsize=2, zorder=4,
    )  # fmt: skip


def edges_of(shares: Sequence[float]) -> list[float]:
    """Where the tiles of ascending shares begin and end: halfway between neighbours."""
    between = [(one + other) / 2 for one, other in itertools.pairwise(shares)]
    last = shares[-1] + (shares[-1] - between[-1]) if between else shares[-1] + 1
    return [shares[0], *between, last]
