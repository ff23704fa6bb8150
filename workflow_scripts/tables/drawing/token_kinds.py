"""What tokens of different kinds run, a panel for every dynamic variant.

A row is a kind of token: digits, operators, delimiters, words. Marks are the shares of blocks whose
attention and MLP a token of that kind runs, on average; lines are those of all tokens.
"""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from workflow_scripts.artefacts.routes import Ran, RouteRecord
from workflow_scripts.models.token_kinds import TOKEN_KINDS
from workflow_scripts.tables.content.formats import SUBLAYERS
from workflow_scripts.tables.content.removals import percent
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.looks import HUES, looks_of
from workflow_scripts.tables.drawing.routes import records_of

COLUMNS = 3  # at most
# inches
ROW = 0.22
HEAD = 0.45
# by sublayer: marker, colour, how far up its mark is in rows
SIGNS = {"attention": ("o", HUES[0][0], -0.13), "mlp": ("s", HUES[1][0], 0.13)}
SIZE = 4.4  # points


def draw(source: Source) -> Figure:
    records, looks = records_of(source), looks_of(source)
    kinds = [kind for kind in TOKEN_KINDS if any(kind in one.kinds for one in records.values())]
    lines = math.ceil(len(records) / COLUMNS)
    columns = math.ceil(len(records) / lines)
    figure = style.new_figure(
        0.55 + lines * (HEAD + len(kinds) * ROW),
        "lines: all tokens; right of each panel: % of its tokens that are of a kind",
    )
    panels = style.panels(figure, len(records), columns)
    for axes, (variant, record) in zip(panels, records.items(), strict=True):
        _draw_panel(axes, record, kinds)
        style.name_panel(axes, variant, columns, looks[variant].text_colour)
    first = panels[0]
    first.set_yticks(range(len(kinds)), labels=kinds)
    first.set_ylim(len(kinds) - 0.5, -0.5)
    first.set_xlim(0, 1)
    first.set_xticks([0, 0.25, 0.5, 0.75, 1])
    first.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    for axes in panels[-columns:]:
        axes.set_xlabel("blocks that a token runs, %", fontsize=style.SMALL)
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=SIZE, linestyle="none", label=name)
        for (marker, colour, _), name in zip(SIGNS.values(), SUBLAYERS.values(), strict=True)
    ]
    figure.legend(
        handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=style.SMALL,
        handlelength=1, columnspacing=1.4,
    )  # fmt: skip
    return figure


def _draw_panel(axes: Axes, record: RouteRecord, kinds: list[str]) -> None:
    for part, (marker, colour, up) in SIGNS.items():
        axes.axvline(_share(record.traces, part), color=colour, linewidth=0.9, zorder=1)
        found = [(y, record.kinds[kind]) for y, kind in enumerate(kinds) if kind in record.kinds]
        axes.plot(
            [_share(ran, part) for _, ran in found], [y + up for y, _ in found], color=colour,
            marker=marker, markersize=SIZE, linestyle="none", zorder=3, clip_on=False,
        )  # fmt: skip
    for y, kind in enumerate(kinds):
        if kind in record.kinds:
            share = percent(record.kinds[kind].tokens / record.traces.tokens)
            axes.text(
                1.04, y, share, transform=axes.get_yaxis_transform(), fontsize=style.SMALL - 0.5,
                color=style.FAINT_INK, va="center_baseline",
            )  # fmt: skip
    axes.tick_params(axis="y", length=0, pad=4, labelsize=style.SMALL)
    axes.tick_params(axis="x", length=3, width=0.8, labelsize=style.SMALL)
    axes.grid(axis="y", color=style.GRID, linewidth=0.6)


def _share(ran: Ran, part: str) -> float:
    return float(np.mean(getattr(ran, part))) / ran.tokens
