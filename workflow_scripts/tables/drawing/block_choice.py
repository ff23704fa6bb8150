"""What a method measured of each block before it took some out, from the record of its mask.

What was measured once is a bar for each block, or a dot where all are far from 0. Of a search in
rounds each round is a line, and a dot with its number is the block that went. Blocks without which
nothing works score many times as much as the others: they end above the axes, and their scores are
written there.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from workflow_scripts.artefacts.mask_records import MaskRecord
from workflow_scripts.config.methods.depth import PLUS
from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.looks import HUES, shade

HEIGHT = 3.3  # inches
USUAL = 0.8  # share of the scores that decides on the scale
FAR, SHOWN = 2.5, 1.6  # times their range: beyond the one there is a cut, at the other
DOT = 11.5  # points, with a number in it
MAX_NAMED = 4  # blocks above the axes whose scores are all written there
MAX_NUMBERED = 45  # blocks of which each has place for such a dot


def draw(source: Source) -> Figure:
    variant = source.options["variant"]
    record = source.masks().get(variant)
    if record is None or not record.scores:
        where = source.shared / source.options["model"] / variant / "mask.json"
        raise NoRows(f"{where}: holds no scores of blocks")
    rounds = [np.array(of_round.values, dtype=float) for of_round in record.scores]
    removed = ", ".join(map(str, record.removed_blocks))
    if len(rounds) > 1:
        note = f"a line for each round, its number at the block that went; removed: {removed}"
    else:
        stay = "; pale: what stays in any case" if record.options.get("plus") else ""
        note = f"removed, in black: {removed}{stay}"
    figure = style.new_figure(HEIGHT, note)
    axes = figure.subplots()
    if len(rounds) > 1:
        _draw_rounds(axes, rounds)
    else:
        _draw_once(axes, rounds[0], record)
    _cut(axes, rounds)
    axes.set_xlim(-0.6, record.blocks - 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(20, integer=True, steps=[1, 2, 4, 5, 10]))
    axes.tick_params(length=0, pad=4)
    axes.grid(axis="y", color=style.GRID, linewidth=0.8)
    axes.set_xlabel("block", labelpad=3)
    axes.set_ylabel(record.scores[0].measure, labelpad=6)
    return figure


def _draw_once(axes: Axes, values: NDArray, record: MaskRecord) -> None:
    there = np.flatnonzero(np.isfinite(values))
    first, last = PLUS if record.options.get("plus") else (0, 0)
    may_go = range(first, record.blocks - last)
    blue = HUES[0][0]
    colours = [
        style.INK if b in record.removed_blocks else blue if b in may_go else shade(blue, 0)
        for b in there
    ]
    axes.margins(y=0.08)
    if np.nanmin(values) > _usual(values) / 2:
        axes.scatter(there, values[there], c=colours, s=30, zorder=3)
        return
    axes.bar(there, values[there], width=0.74, color=colours, zorder=2)
    axes.axhline(0, color=style.INK, linewidth=0.8, zorder=3)


def _draw_rounds(axes: Axes, rounds: Sequence[NDArray]) -> None:
    numbered = len(rounds[0]) <= MAX_NUMBERED
    for number, values in enumerate(rounds):
        there = np.flatnonzero(np.isfinite(values))
        colour = shade(HUES[0][0], number / (len(rounds) - 1))
        axes.plot(there, values[there], color=colour, marker="o", markersize=2.5, linewidth=1.3)
        at = int(np.nanargmin(values)), np.nanmin(values)
        size = DOT if numbered else style.MARKER
        axes.plot(*at, "o", color=style.INK, markersize=size, zorder=4)
        if numbered:
            axes.annotate(
                str(number + 1), at, color="white", fontsize=8, zorder=5, ha="center",
                va="center_baseline",
            )  # fmt: skip
    axes.margins(y=0.08)


def _cut(axes: Axes, rounds: Sequence[NDArray]) -> None:
    """End the axis above what most blocks of every round score, if some score far more."""
    least, usual = min(map(np.nanmin, rounds)), max(map(_usual, rounds))
    shown = least + SHOWN * (usual - least)
    most = np.nan_to_num(rounds, nan=-np.inf).max(axis=0)
    above = np.flatnonzero(most > shown)
    if usual == least or not (most[above] > least + FAR * (usual - least)).any():
        return
    bottom = 0 if axes.get_ylim()[0] == 0 else least - 0.08 * (shown - least)
    axes.set_ylim(bottom, shown)
    axes.plot(
        above, [shown] * len(above), "^", color=style.FAINT_INK, markeredgecolor="white",
        markersize=8, clip_on=False, zorder=5,
    )  # fmt: skip
    upto = "up to " if len(rounds) > 1 else ""
    said = ", ".join(f"block {b} ({upto}{_short(most[b])})" for b in above)
    if len(above) > MAX_NAMED:
        said = f"blocks {', '.join(map(str, above))} (up to {_short(most[above].max())})"
    text, width = f"above the scale: {said}", axes.figure.get_figwidth() - 1
    size = style.SMALL * min(1.0, width / style.text_width(text, style.SMALL))
    axes.set_title(text, loc="right", fontsize=size, color=style.FAINT_INK, pad=7)


def _usual(values: NDArray) -> float:
    return np.nanquantile(values, USUAL, method="lower")


def _short(score: float) -> str:
    return f"{score:,.0f}" if score >= 100 else f"{score:.3g}"
