"""Draw thinking longer against thinking several times, at equal cost in tokens.

    python -m workflow_scripts.tables.parallel_plot --table results/tables/parallel.csv \
        --model reasoner --benchmark chains \
        --svg results/figures/parallel/reasoner/chains.svg \
        --png results/figures/parallel/reasoner/chains.png

A panel for every variant. The black line is sequential: one repeat under each budget. From each of
its points a coloured line goes to the majority of 2, 3, ... repeats under that budget, at the cost
of all of them; where it is above the black line at the same place, several short thoughts are worth
more than a long one.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.content.rows import ParallelRow, rows_of
from workflow_scripts.tables.drawing import style

COLUMNS = 4
# inches
LEFT, BOTTOM, RIGHT = 0.42, 0.62, 0.12
ACROSS, DOWN = 0.16, 0.34  # between panels
HEIGHT = 1.05
KEY = 0.26  # below the title


def draw_parallel(rows: Sequence[ParallelRow]) -> Figure:
    """The figure for rows of one model and benchmark, every k among them.

    What took no tokens has no place on the logarithmic axis, and is left out.
    """
    variants = list(dict.fromkeys(row.variant for row in rows))
    placed = [row for row in rows if row.tokens > 0]
    columns = min(COLUMNS, len(variants))
    lines = math.ceil(len(variants) / columns)
    high = HEIGHT if lines > 1 else 2.6
    total = style.HEAD + KEY + lines * high + (lines - 1) * DOWN + BOTTOM
    figure = Figure(figsize=(style.WIDTH, total), dpi=style.DPI)
    width = (style.WIDTH - LEFT - RIGHT - (columns - 1) * ACROSS) / columns
    budgets = sorted({row.budget for row in rows})
    shades = matplotlib.colormaps["viridis"]
    colours = {
        budget: shades(0.82 * place / max(len(budgets) - 1, 1))
        for place, budget in enumerate(budgets)
    }
    tokens = [row.tokens for row in placed] or [1.0]
    least, most = min(tokens), max(tokens)
    for number, variant in enumerate(variants):
        line, column = divmod(number, columns)
        up = BOTTOM + (lines - 1 - line) * (high + DOWN)
        axes = style.add_axes(figure, LEFT + column * (width + ACROSS), up, width, high)
        _draw_panel(axes, [row for row in placed if row.variant == variant], colours)
        axes.set_xlim(least / 1.15, most * 1.15)
        below = number + columns >= len(variants)
        _set_axes(axes, least, most, width, first=column == 0, below=below)
        axes.set_title(
            variant, fontsize=style.SMALL, color=style.INK, pad=3, loc="left",
        )  # fmt: skip
    k = max(row.k for row in rows)
    _key(figure, colours, total)
    figure.text(
        0.5, 0.1 / total, "tokens used for a problem, all repeats together (log scale)",
        ha="center", fontsize=style.SMALL,
    )  # fmt: skip
    row = rows[0]
    rest = "; not drawn: what took no tokens" if len(placed) < len(rows) else ""
    style.title(
        figure,
        title_of(row.model, row.benchmark),
        f"accuracy; black: one repeat, longer and longer; coloured: majority of 1 to {k} repeats"
        + rest,
    )
    return figure


def _draw_panel(
    axes: Axes, rows: Sequence[ParallelRow], colours: dict[int, tuple[float, ...]]
) -> None:
    single = sorted((row for row in rows if row.k == 1), key=lambda row: row.budget)
    axes.plot(
        [row.tokens for row in single], [row.majority_at_k for row in single],
        color=style.INK, linewidth=1.6, marker="o", markersize=3, zorder=3, clip_on=False,
    )  # fmt: skip
    for budget, colour in colours.items():
        several = sorted((row for row in rows if row.budget == budget), key=lambda row: row.k)
        axes.plot(
            [row.tokens for row in several], [row.majority_at_k for row in several],
            color=colour, linewidth=1.2, dashes=(3, 1), marker="D", markersize=2.8, zorder=4,
            markevery=range(1, len(several)), clip_on=False,
        )  # fmt: skip


def _set_axes(
    axes: Axes, least: float, most: float, width: float, *, first: bool, below: bool
) -> None:
    axes.set_xscale("log", base=2)
    powers = range(math.ceil(math.log2(least)), math.floor(math.log2(most)) + 1)
    span = math.log2(most * 1.15**2 / least)
    # one tick for each third of an inch at most
    every = max(1, math.ceil(0.38 * span / width)) if len(powers) else 1
    ticks = [2.0**power for power in powers][::-every][::-1]
    axes.set_xticks(ticks, labels=[_short(tick) if below else "" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_ylim(0, 1)
    labels = ["0", "", "0.5", "", "1"] if first else [""] * 5
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], labels=labels)
    axes.tick_params(axis="y", length=0, pad=4, labelsize=style.SMALL - 0.5)
    axes.tick_params(axis="x", length=2.5, width=0.8, labelsize=style.SMALL - 0.5, pad=2)
    axes.grid(axis="y", color=style.GRID, linewidth=0.6)


def _short(tokens: float) -> str:
    return f"{tokens / 1024:g}k" if tokens >= 1024 else f"{tokens:g}"


def _key(figure: Figure, colours: dict[int, tuple[float, ...]], total: float) -> None:
    """The budgets in their colours, in a line below the title."""
    x, y = style.MARGIN, total - style.HEAD
    words = [("budget of a repeat:", style.FAINT_INK)]
    words += [(f"◆ {budget}", colour) for budget, colour in colours.items()]
    for text, colour in words:
        figure.text(
            x / style.WIDTH, y / total, text, fontsize=style.SMALL, color=colour, va="center"
        )
        x += style.text_width(text, style.SMALL) + 0.14


def title_of(model: str, benchmark: str) -> str:
    return f"{model} on {benchmark}: thinking longer or several times"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", required=True, type=Path, help="parallel.csv")
    parser.add_argument("--model", required=True)
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--svg", required=True, type=Path, help="figure to write")
    parser.add_argument("--png", required=True, type=Path, help="figure to write")
    options = parser.parse_args(arguments)
    rows = rows_of(options.model, options.benchmark, options.table, ParallelRow)
    with style.applied():
        figure = draw_parallel(rows)
    style.save(figure, options.svg, options.png, title_of(options.model, options.benchmark))


if __name__ == "__main__":
    run_stage(main)
