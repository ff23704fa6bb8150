"""Thinking longer against thinking several times, at equal cost in tokens.

A panel for every variant. The black line is one repeat under each budget. From each of its points a
coloured line goes to the majority of 2, 3, ... repeats under that budget, at the cost of all of
them; where it is above the black line at the same place, several short thoughts are worth more than
a long one.
"""

import math

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator

from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.labels import short, thin_ticks

COLUMNS = 4
HEIGHT, ALONE = 1.4, 3.2  # inches of a panel, and of one line of panels


def draw(source: Source) -> Figure:
    """What took no tokens has no place on the logarithmic axis, and is left out."""
    rows = source.rows("parallel")
    if rows["k"].max() == 1:
        raise NoRows(f"{source.tables}/parallel.csv: one repeat alone is no majority")
    placed = rows[rows["tokens"] > 0]
    rest = "; not drawn: what took no tokens" if len(placed) < len(rows) else ""
    variants, budgets = list(rows["variant"].unique()), sorted(rows["budget"].unique())
    columns = min(COLUMNS, len(variants))
    lines = math.ceil(len(variants) / columns)
    figure = style.new_figure(
        0.4 + lines * HEIGHT if lines > 1 else ALONE,
        "black: one repeat, longer and longer; coloured: majority of 1 to "
        f"{rows['k'].max()} repeats{rest}",
    )
    panels = style.panels(figure, len(variants), columns)
    shades = matplotlib.colormaps["viridis"]
    colours = {b: shades(0.82 * i / max(len(budgets) - 1, 1)) for i, b in enumerate(budgets)}
    for axes, variant in zip(panels, variants, strict=True):
        of_it = placed[placed["variant"] == variant].sort_values(["budget", "k"])
        single = of_it[of_it["k"] == 1]
        axes.plot(
            single["tokens"], single["majority_at_k"], color=style.INK, linewidth=1.6, marker="o",
            markersize=3, zorder=3, clip_on=False,
        )  # fmt: skip
        for budget, several in of_it.groupby("budget"):
            axes.plot(
                several["tokens"], several["majority_at_k"], color=colours[budget], linewidth=1.2,
                dashes=(3, 1), marker="D", markersize=2.8, zorder=4, clip_on=False,
                markevery=range(1, len(several)),
            )  # fmt: skip
        style.name_panel(axes, variant, columns)
        axes.tick_params(axis="y", length=0, pad=4, labelsize=style.SMALL - 0.5)
        axes.tick_params(axis="x", length=2.5, width=0.8, labelsize=style.SMALL - 0.5, pad=2)
        axes.grid(axis="y", color=style.GRID, linewidth=0.6)
    first = panels[0]
    first.set_xscale("log", base=2)
    if len(placed):
        first.set_xlim(placed["tokens"].min() / 1.15, placed["tokens"].max() * 1.15)
    first.xaxis.set_major_locator(LogLocator(base=2, numticks=5))
    first.xaxis.set_major_formatter(FuncFormatter(lambda tokens, _: short(tokens)))
    first.minorticks_off()
    first.set_ylim(0, 1)
    first.set_yticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "", "0.5", "", "1"])
    figure.legend(
        [
            Line2D([], [], color=colour, marker="D", markersize=2.8, linewidth=1.2)
            for colour in colours.values()
        ],
        [str(budget) for budget in colours],
        title="budget of\na repeat", loc="outside right center", frameon=False,
        fontsize=style.SMALL, title_fontsize=style.SMALL, handlelength=1.4,
    )  # fmt: skip
    figure.supxlabel(
        "tokens used for a problem, all repeats together (log scale)", fontsize=style.SMALL
    )
    figure.supylabel("accuracy", fontsize=style.SMALL)
    thin_ticks(panels[-1])
    return figure
