"""Draw each variant's difference to the dense model, with intervals, a panel for every budget.

    python -m workflow_scripts.tables.difference_plot --table results/tables/comparison.csv \
        --model reasoner --benchmark chains \
        --svg results/figures/differences/reasoner/chains.svg \
        --png results/figures/differences/reasoner/chains.png

A filled mark is a difference that the corrected test finds, an open one is not. More panels than
fit beside each other stand in several lines.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from workflow_scripts.errors import InputError
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.content.rows import ComparisonRow, rows_of
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.statistics.differences import BETTER, WORSE

# inches
ROW = 0.2
BOTTOM, ABOVE, RIGHT = 0.56, 0.22, 0.12
GAP, BELOW = 0.1, 0.26  # between panels, and below a line of them that is not the last
MAX_BESIDE = 6  # panels in a line
MIN_WIDTH = 3.4  # of a line of panels, however long the names are: its label needs as much
TICK = 0.36  # between ticks, at least
# Only filling tells what is found, and in marks this small a plus or cross shows none.
MARKERS = {"P": "<", "X": ">"}
STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5)


def draw_differences(rows: Sequence[ComparisonRow]) -> Figure:
    """The figure for rows of one model, benchmark and family; they come with their budgets."""
    budgets = sorted({row.budget for row in rows})
    variants = list(dict.fromkeys(row.variant for row in rows))
    names = max(style.text_width(variant, style.SMALL) for variant in variants)
    left = names + 0.2
    lines = math.ceil(len(budgets) / MAX_BESIDE)
    columns = math.ceil(len(budgets) / lines)
    height = len(variants) * ROW
    right = max(style.WIDTH - RIGHT, left + MIN_WIDTH)
    width = (right - left - GAP * (columns - 1)) / columns
    up = ABOVE + height + BELOW  # from one line of panels to the next
    total = style.HEAD + lines * up - BELOW + BOTTOM
    figure = Figure(figsize=(right + RIGHT, total), dpi=style.DPI)
    low, high = _limits(rows)
    looks = style.looks([rows[0].reference, *variants], rows[0].reference)
    for panel, budget in enumerate(budgets):
        line, column = divmod(panel, columns)
        bottom = BOTTOM + (lines - 1 - line) * up
        axes = style.add_axes(figure, left + column * (width + GAP), bottom, width, height)
        axes.set_xlim(low, high)
        axes.set_ylim(len(variants) - 0.5, -0.5)
        axes.axvline(0, color=style.INK, linewidth=0.8, zorder=1)
        for row in rows:
            if row.budget != budget:
                continue
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
        ticks = _ticks(low, high, width)
        axes.set_xticks(ticks, labels=[f"{tick:g}".replace("-", "−") for tick in ticks])
        axes.set_yticks(range(len(variants)), labels=[] if column else variants)
        axes.tick_params(axis="y", length=0, pad=4, labelsize=style.SMALL)
        axes.tick_params(axis="x", length=3, width=0.8, labelsize=style.SMALL - 0.5)
        axes.grid(axis="y", color=style.GRID, linewidth=0.6)
        axes.set_title(f"{budget}", fontsize=style.SMALL, color=style.INK, pad=4)
    figure.text(
        (left + right) / 2 / figure.get_figwidth(),
        0.1 / total,
        f"accuracy less that of {rows[0].reference}, by budget (thinking tokens)",
        ha="center",
        fontsize=style.SMALL,
    )
    compared = f"{rows[0].problems} problems × {rows[0].repeats} repeats, paired"
    style.title(
        figure,
        title_of(rows[0].model, rows[0].benchmark, rows[0].reference),
        f"95 % intervals; {compared}; filled: p < 0.05 after Holm's correction",
    )
    return figure


def _limits(rows: Sequence[ComparisonRow]) -> tuple[float, float]:
    """The ends of the axes: all intervals and 0, with a margin for the marks."""
    low = min(0.0, *(row.ci_low for row in rows))
    high = max(0.0, *(row.ci_high for row in rows))
    margin = 0.06 * (high - low)
    return low - margin, high + margin


def _ticks(low: float, high: float, width: float) -> list[float]:
    """Multiples of a round step, 0 among them, as many as have room in `width` inches."""
    step = next(s for s in STEPS if s * width / (high - low) >= TICK or s == STEPS[-1])
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def title_of(model: str, benchmark: str, reference: str) -> str:
    return f"{model} on {benchmark}: difference to {reference}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", required=True, type=Path, help="comparison.csv")
    parser.add_argument("--model", required=True)
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--svg", required=True, type=Path, help="figure to write")
    parser.add_argument("--png", required=True, type=Path, help="figure to write")
    options = parser.parse_args(arguments)
    comparisons = rows_of(options.model, options.benchmark, options.table, ComparisonRow)
    rows = [row for row in comparisons if row.family.startswith("dense")]
    if not rows:
        raise InputError(f"{options.table}: {options.model} is not compared with the dense model")
    with style.applied():
        figure = draw_differences(rows)
    title = title_of(options.model, options.benchmark, rows[0].reference)
    style.save(figure, options.svg, options.png, title)


if __name__ == "__main__":
    run_stage(main)
