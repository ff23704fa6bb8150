"""Each variant's difference to the dense model, with intervals, a panel for every budget.

A filled mark is a difference that the corrected test finds, an open one is not. More panels than
fit beside each other stand in several lines.
"""

import math

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.content.formats import design
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.labels import thin_ticks
from workflow_scripts.tables.drawing.looks import looks_of
from workflow_scripts.tables.statistics.verdicts import BETTER, WORSE

# inches
PANEL = 0.72  # that a panel takes at least, with the gap to the next
ROW = 0.21  # for each variant
# Only filling tells what is found, and in marks this small a plus or cross shows none.
MARKERS = {"P": "<", "X": ">"}


def draw(source: Source) -> Figure:
    rows = source.compared()
    if rows.empty:
        raise NoRows(f"{source.options['model']} is not compared with the dense model")
    one, reference = rows.iloc[0], rows.iloc[0].reference
    variants = list(rows["variant"].unique())
    budgets = sorted(rows["budget"].unique())
    names = min(max(map(style.text_width, variants)), style.MAX_NAME)
    lines = math.ceil(len(budgets) * PANEL / (style.WIDTH - names))
    columns = math.ceil(len(budgets) / lines)
    figure = style.new_figure(
        0.35 + lines * (0.55 + len(variants) * ROW),
        f"95 % intervals; {design(one)}, paired; filled: p < 0.05 after Holm's correction",
        variants,
    )
    panels = style.panels(figure, len(budgets), columns)
    looks = looks_of(source)
    for axes, budget in zip(panels, budgets, strict=True):
        axes.axvline(0, color=style.INK, linewidth=0.8, zorder=1)
        for row in rows[rows["budget"] == budget].itertuples():
            y, look = variants.index(row.variant), looks[row.variant]
            axes.hlines(y, row.ci_low, row.ci_high, color=look.colour, linewidth=1.4, zorder=2)
            axes.plot(
                row.difference,
                y,
                marker=MARKERS.get(look.marker, look.marker),
                markersize=3.4,
                markeredgewidth=0.9,
                color=look.colour,
                markerfacecolor=look.colour if row.verdict in (BETTER, WORSE) else "white",
                zorder=3,
            )
        axes.tick_params(axis="y", length=0, pad=4, labelsize=style.SMALL)
        axes.tick_params(axis="x", length=3, width=0.8, labelsize=style.SMALL - 0.5)
        axes.grid(axis="y", color=style.GRID, linewidth=0.6)
        axes.set_title(f"{budget}", fontsize=style.SMALL, color=style.INK, pad=4)
    first = panels[0]
    first.set_yticks(range(len(variants)), labels=variants)
    first.set_ylim(len(variants) - 0.5, -0.5)
    first.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    first.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}".replace("-", "−")))
    figure.supxlabel(
        f"difference in accuracy to {reference}, by budget (thinking tokens)", fontsize=style.SMALL
    )
    thin_ticks(panels[-1])
    return figure
