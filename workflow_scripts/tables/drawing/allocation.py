"""What every variant of a model removes from each block, from the records of their masks.

A row for every variant, a column for every block; a cell's upper half is its attention, its lower
half its MLP. The shade is the share of weights that is gone, as achieved.
"""

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from workflow_scripts.artefacts.mask_records import MaskRecord
from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.content.removals import counts_by_part
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style

ROW = 0.42  # inches for each variant
GAP = 0.14  # between rows, as a share of one
MAX_NUMBERED = 14  # blocks of which each has place for a number
DARK = 0.65  # share of the way to the darkest shade from which numbers are white
GONE = 2.0  # the share of a block that is taken out whole, beyond that of any mask


def shares_of(mask: MaskRecord) -> NDArray:
    """The removed shares, shape (2, blocks), of each block's attention and MLP; `GONE` where the
    block is taken out. Linears weigh by their numbers of weights."""
    pruned, total = counts_by_part(mask)
    shares = pruned / np.maximum(total, 1)
    shares[:, list(mask.removed_blocks)] = GONE
    return shares


def draw(source: Source) -> Figure:
    masks = source.masks()
    if not masks:
        raise NoRows(f"{source.shared}/{source.options['model']}: no variant has a mask.json")
    shares = {variant: shares_of(mask) for variant, mask in masks.items()}
    blocks = next(iter(shares.values())).shape[1]
    # the shades reach as far as the masked shares do; a removed block is black whatever they are
    top = max((s for one in shares.values() for s in one.flat if s < GONE), default=0.0) or 1.0
    figure = style.new_figure(
        0.9 + len(shares) * ROW,
        "share of weights pruned; upper half: attention, lower half: MLP; black: block removed",
        shares,
    )
    axes = figure.subplots()
    half = (1 - GAP) / 2
    edges = [row + part * half for row in range(len(shares)) for part in range(3)]
    grid = np.full((len(edges) - 1, blocks), np.nan)
    for row, one in enumerate(shares.values()):
        grid[3 * row : 3 * row + 2] = one
    # the darkest blues are hard to tell from the black of removed blocks
    blues = matplotlib.colormaps["Blues"](np.linspace(0, 0.85, 256))
    shades = matplotlib.colors.ListedColormap(blues).with_extremes(over=style.INK, bad="white")
    mesh = axes.pcolormesh(
        range(blocks + 1), edges, np.ma.masked_invalid(grid), cmap=shades, vmin=0, vmax=top,
        edgecolors="none",
    )  # fmt: skip
    axes.vlines(range(1, blocks), 0, len(shares), color="white", linewidth=1.2)
    if blocks <= MAX_NUMBERED:
        for row, one in enumerate(shares.values()):
            _write_numbers(axes, row, half, one, top)
    axes.set_ylim(len(shares) - GAP, 0)
    axes.set_yticks([row + half for row in range(len(shares))], labels=list(shares))
    axes.xaxis.set_major_locator(MaxNLocator(20, integer=True, steps=[1, 2, 4, 5, 10]))
    ticks = [tick for tick in axes.get_xticks() if 0 <= tick < blocks]
    axes.set_xticks([tick + 0.5 for tick in ticks], labels=[f"{tick:.0f}" for tick in ticks])
    axes.tick_params(length=0, pad=4)
    axes.set_xlabel("block", labelpad=3)
    axes.spines[:].set_visible(False)
    key = figure.colorbar(
        mesh, ax=axes, location="bottom", shrink=0.3, aspect=16, anchor=(1, 1), pad=0.01
    )
    key.set_ticks([0, top])
    key.ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    key.ax.tick_params(length=0, pad=2, labelsize=style.SMALL - 1)
    key.outline.set_visible(False)
    return figure


def _write_numbers(axes: Axes, row: int, half: float, shares: NDArray, top: float) -> None:
    """One number for a block where both of its halves would have the same."""
    for block, halves in enumerate(shares.T):
        one = round(halves[0], 2) == round(halves[1], 2)
        for part, share in enumerate(halves[:1] if one else halves):
            axes.text(
                block + 0.5,
                row + (half if one else (part + 0.5) * half),
                "gone" if share == GONE else f"{100 * share:.0f} %",
                color="white" if share / top > DARK else style.INK,
                fontsize=style.SMALL if one else style.SMALL - 1.5,
                ha="center",
                va="center_baseline" if one else "center",
            )
