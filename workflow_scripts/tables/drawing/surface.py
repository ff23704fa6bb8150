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
    """A mark for every budget that has an onset, joined where it has both bounds; an arrow from one
    that may be beyond the levels.
    """
    of_budget = onsets.set_index("budget").reindex(budgets)
    heights = np.arange(len(budgets))
    at, low, high = (100 * of_budget[name].to_numpy() for name in ("onset", "ci_low", "ci_high"))
    look = {
        "color": LINE, "marker": "o", "markersize": 4.5, "markeredgecolor": "white",
        "elinewidth": 1.2, "zorder": 4,
    }  # fmt: skip
    is_open = np.isfinite(at) & np.isinf(high)
    joined = np.where(np.isfinite(high), [low, at, high], np.nan)
    reach = np.maximum(np.diff(joined, axis=0), 0)
    axes.errorbar(joined[1], heights, xerr=reach, linewidth=1.8, capsize=2, **look)
    at, low, heights = at[is_open], low[is_open], heights[is_open]
    axes.errorbar(at, heights, xerr=[at - low, 0 * at], linestyle="none", capsize=2, **look)
    most = 100 * of_budget["largest"].to_numpy()[is_open]
    axes.errorbar(at, heights, xerr=[0 * at, most - at], xlolims=True, linestyle="none", **look)


def edges_of(shares: Sequence[float]) -> list[float]:
    """Where the tiles of ascending shares begin and end: halfway between neighbours."""
    between = [(one + other) / 2 for one, other in itertools.pairwise(shares)]
    last = shares[-1] + (shares[-1] - between[-1]) if between else shares[-1] + 1
    return [shares[0], *between, last]
