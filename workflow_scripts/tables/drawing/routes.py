"""Which blocks the tokens of a trace run, by where in the trace they are.

For every dynamic variant two maps, attention above the MLP: along are places in traces, up are
blocks, and the shade is the share of tokens that run them.
"""

import math

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from workflow_scripts.artefacts.routes import RouteRecord
from workflow_scripts.tables.content.columns import NoRows, NothingToShow
from workflow_scripts.tables.content.formats import SUBLAYERS
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.looks import looks_of

COLUMNS = 3  # at most
MAP_HEIGHT = 1.15  # inches


def records_of(source: Source) -> dict[str, RouteRecord]:
    """By dynamic variant, what was counted on a figure's benchmark. Raises `NothingToShow` where
    the model thinks nothing, and `NoRows` where nothing was counted."""
    model, benchmark = source.options["model"], source.options["benchmark"]
    counted = source.routes(model, benchmark)
    if not counted:
        raise NoRows(f"{source.results}/{model}: no routes of {benchmark}")
    found = {variant: one for variant, one in counted.items() if one.traces.tokens}
    if not found:
        raise NothingToShow(f"{model} thinks nothing on {benchmark}: no token of a trace")
    return found


def draw(source: Source) -> Figure:
    records, looks = records_of(source), looks_of(source)
    lines = math.ceil(len(records) / COLUMNS)
    columns = math.ceil(len(records) / lines)
    figure = style.new_figure(
        0.7 + 2 * lines * MAP_HEIGHT,
        "share of tokens that run a block's attention (above) and MLP (below)",
    )
    grid = figure.subplots(2 * lines, columns, sharex=True, sharey=True, squeeze=False)
    for axes in grid[:, len(records) % columns or columns :][-2:].flat:
        axes.remove()
    mesh = None
    for number, (variant, record) in enumerate(records.items()):
        line, column = divmod(number, columns)
        for row, (part, name) in enumerate(SUBLAYERS.items(), 2 * line):
            axes = grid[row, column]
            mesh = _draw_map(axes, record, part)
            if column == 0:
                axes.set_ylabel(f"block\n({name})", fontsize=style.SMALL)
        style.name_panel(grid[2 * line, column], variant, columns, looks[variant].text_colour)
        is_lowest = number + columns >= len(records)
        grid[2 * line + 1, column].tick_params(labelbottom=is_lowest)
    first = grid[0, 0]
    first.set_xlim(0, max(record.places[-1].end for record in records.values()))
    first.set_ylim(0, max(record.blocks for record in records.values()))
    first.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    _number_blocks(first, max(record.blocks for record in records.values()))
    figure.supxlabel("token of the trace", fontsize=style.FONT)
    key = figure.colorbar(
        mesh, ax=[*grid[:, 0], *(axes for axes in grid[:, 1:].flat if axes.figure)],
        location="right", shrink=0.5, aspect=18, pad=0.015,
    )  # fmt: skip
    key.set_ticks([0, 0.5, 1])
    key.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    key.ax.tick_params(length=0, pad=2, labelsize=style.SMALL - 0.5)
    key.outline.set_visible(False)
    return figure


def _draw_map(axes: Axes, record: RouteRecord, part: str) -> QuadMesh:
    """The shares of one kind of sublayer; places without a token have none, and end the map."""
    shares = np.array([np.array(getattr(one, part)) / one.tokens for one in record.places]).T
    edges = [*(one.first for one in record.places), record.places[-1].end]
    # as in the figure of allocations
    blues = matplotlib.colormaps["Blues"](np.linspace(0, 0.85, 256))
    mesh = axes.pcolormesh(
        edges, range(record.blocks + 1), shares, cmap=matplotlib.colors.ListedColormap(blues),
        vmin=0, vmax=1, edgecolors="none", rasterized=True,
    )  # fmt: skip
    axes.tick_params(length=0, pad=3, labelsize=style.SMALL)
    axes.spines[:].set_visible(False)
    return mesh


def _number_blocks(axes: Axes, blocks: int) -> None:
    locator = MaxNLocator(5, integer=True, steps=[1, 2, 5, 10])
    ticks = [tick for tick in locator.tick_values(0, blocks - 1) if 0 <= tick < blocks]
    axes.set_yticks([tick + 0.5 for tick in ticks], labels=[f"{tick:.0f}" for tick in ticks])
