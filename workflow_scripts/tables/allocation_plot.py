"""Draw what every variant of a model removes from each block, from the records of their masks.

    python -m workflow_scripts.tables.allocation_plot --model reasoner \
        --variants dense wanda-owl-50 --records results/reasoner/dense/mask.json \
        results/reasoner/wanda-owl-50/mask.json \
        --svg results/figures/allocation/reasoner.svg \
        --png results/figures/allocation/reasoner.png

A row for every variant, a column for every block; a cell's upper half is its attention, its lower
half its MLP. The shade is the share of weights that is gone, as achieved.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from workflow_scripts.artefacts.mask_records import MaskedLinear, read_mask_record
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.drawing import style

PARTS = ("self_attn", "mlp")
_LINEAR = re.compile(r"model\.layers\.(\d+)\.(self_attn|mlp)\.\w+\.weight")

# inches
ROW_HEIGHT = 0.36
GAP = 0.06  # between rows
LEFT, RIGHT, BOTTOM = 0.14, 0.1, 0.62
MIN_GRID = 2.6  # width of all cells, however long the names are
MIN_NUMBERED = 0.34  # width of a cell that has room for a number
KEY_WIDTH, KEY_HEIGHT = 1.5, 0.1
DARK = 0.65  # share of the way to the darkest shade from which numbers are white


@dataclass(frozen=True)
class Removal:
    """The shares of weights that a variant removes, by block: (attention, MLP), each in [0, 1]."""

    variant: str
    shares: list[tuple[float, float]]
    removed_blocks: frozenset[int]


def read_removal(path: Path, variant: str) -> Removal:
    """Read a mask's record. Raises `InputError` where it is not one."""
    record = read_mask_record(path)
    weights, removed = _weights_by_part(record.linears), frozenset(record.removed_blocks)
    shares = [
        (1.0, 1.0) if block in removed else tuple(weights.get((block, p), 0.0) for p in PARTS)
        for block in range(record.blocks)
    ]
    return Removal(variant, shares, removed)


def _weights_by_part(linears: Mapping[str, MaskedLinear]) -> dict[tuple[int, str], float]:
    """The pruned share of every (block, part), its linears weighted by their numbers of weights."""
    pruned: dict[tuple[int, str], float] = {}
    total: dict[tuple[int, str], int] = {}
    for name, linear in linears.items():
        match = _LINEAR.fullmatch(name)
        place = int(match[1]), match[2]
        pruned[place] = pruned.get(place, 0.0) + linear.achieved * linear.weights
        total[place] = total.get(place, 0) + linear.weights
    return {place: pruned[place] / total[place] for place in total}


def draw_allocation(model: str, removals: Sequence[Removal]) -> Figure:
    """The figure for variants of one model; all have the same number of blocks."""
    blocks = len(removals[0].shares)
    names = max(style.text_width(removal.variant) for removal in removals)
    grid = style.WIDTH - LEFT - names - 0.12 - RIGHT
    wider = max(MIN_GRID - grid, 0.0)
    grid += wider
    height = len(removals) * (ROW_HEIGHT + GAP) - GAP
    total = (style.WIDTH + wider, style.HEAD + height + BOTTOM)
    figure = Figure(figsize=total, dpi=style.DPI)
    left = total[0] - RIGHT - grid
    axes = style.add_axes(figure, left, BOTTOM, grid, height)
    axes.set_xlim(0, blocks)
    axes.set_ylim(len(removals) * (ROW_HEIGHT + GAP) - GAP, 0)
    # the shades reach as far as the masked shares do; a removed block is black whatever they are
    top = max((s for r in removals for b in r.shares for s in b if s < 1), default=0) or 1.0
    shades = matplotlib.colormaps["Blues"]
    numbered = grid / blocks >= MIN_NUMBERED
    for row, removal in enumerate(removals):
        _draw_row(axes, removal, row * (ROW_HEIGHT + GAP), top, shades, numbered)
    _set_axes(axes, removals, blocks, grid)
    _draw_key(figure, top, shades)
    style.title(
        figure,
        title_of(model),
        "share of weights pruned; upper half: attention, lower half: MLP; black: block removed",
    )
    return figure


def _draw_row(
    axes: Axes, removal: Removal, y: float, top: float, shades: Colormap, numbered: bool
) -> None:
    for block, halves in enumerate(removal.shares):
        whole = block in removal.removed_blocks
        for half, share in enumerate(halves):
            colour = style.INK if whole else shades(0.85 * share / top)
            place = (block + 0.03, y + half * ROW_HEIGHT / 2)
            axes.add_patch(Rectangle(place, 0.94, ROW_HEIGHT / 2, color=colour, linewidth=0))
        if not numbered:
            continue
        one = round(halves[0], 2) == round(halves[1], 2)
        for half, share in enumerate(halves[:1] if one else halves):
            dark = whole or share / top > DARK
            axes.text(
                block + 0.5,
                y + (ROW_HEIGHT / 2 if one else (half + 0.5) * ROW_HEIGHT / 2),
                "gone" if whole else f"{100 * share:.0f} %",
                color="white" if dark else style.INK,
                fontsize=style.SMALL if one else style.SMALL - 1.5,
                ha="center",
                va="center_baseline" if one else "center",
            )


def _set_axes(axes: Axes, removals: Sequence[Removal], blocks: int, width: float) -> None:
    every = next(step for step in (1, 2, 4, 5, 10, 20, 50) if step * width / blocks >= 0.2)
    ticks = range(0, blocks, every)
    axes.set_xticks([block + 0.5 for block in ticks], labels=[str(block) for block in ticks])
    axes.set_yticks(
        [row * (ROW_HEIGHT + GAP) + ROW_HEIGHT / 2 for row in range(len(removals))],
        labels=[removal.variant for removal in removals],
    )
    axes.tick_params(length=0, pad=4)
    axes.set_xlabel("block", labelpad=3)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_key(figure: Figure, top: float, shades: Colormap) -> None:
    """Which shade is which share, below the grid at its right end."""
    x, y = figure.get_figwidth() - RIGHT - KEY_WIDTH, 0.2
    key = style.add_axes(figure, x, y, KEY_WIDTH, KEY_HEIGHT)
    key.imshow([[0.85 * i / 99 for i in range(100)]], cmap=shades, vmin=0, vmax=1, aspect="auto")
    key.set_xticks([0, 99], labels=["0 %", f"{100 * top:.0f} %"])
    for label, side in zip(key.get_xticklabels(), ("left", "right"), strict=True):
        label.set_horizontalalignment(side)
    key.set_yticks([])
    key.tick_params(length=0, pad=2, labelsize=style.SMALL - 1)
    for spine in key.spines.values():
        spine.set_visible(False)


def title_of(model: str) -> str:
    return f"{model}: what each variant removes, block by block"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--variants", required=True, nargs="+", help="in the order of the rows")
    parser.add_argument("--records", required=True, nargs="+", type=Path, help="their mask.json")
    parser.add_argument("--svg", required=True, type=Path, help="figure to write")
    parser.add_argument("--png", required=True, type=Path, help="figure to write")
    options = parser.parse_args(arguments)
    pairs = zip(options.records, options.variants, strict=True)
    removals = [read_removal(path, variant) for path, variant in pairs]
    with style.applied():
        figure = draw_allocation(options.model, removals)
    style.save(figure, options.svg, options.png, title_of(options.model))


if __name__ == "__main__":
    run_stage(main)
