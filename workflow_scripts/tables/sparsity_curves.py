"""Draw accuracy against the share of weights removed, a line for every way of pruning.

    python -m workflow_scripts.tables.sparsity_curves --table results/tables/accuracy.csv \
        --results results --model reasoner --benchmark chains \
        --svg results/figures/sparsity/reasoner/chains.svg \
        --png results/figures/sparsity/reasoner/chains.png

Variants whose names differ only in a last number are one line, which begins at the dense model. The
accuracy is that under the largest budget that a pruned variant has.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from workflow_scripts.errors import InputError
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.content.removals import Removed, read_removed
from workflow_scripts.tables.content.rows import Row, rows_of
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.curves import set_accuracy
from workflow_scripts.tables.drawing.labels import spread

# inches
LEFT, BOTTOM, EDGE = 0.42, 0.56, 0.06
LEADER = 0.34  # between the end of a line and its label
HEIGHT = 3.1
MIN_WIDTH = 2.6  # of the axes, however long the names are
LINE_HEIGHT = 1.32  # of a label, in font sizes


def draw_sparsity_curves(
    rows: Sequence[Row], removed: Mapping[str, Removed], reference: str
) -> Figure:
    """The figure for rows of one model, benchmark and budget."""
    accuracy = {row.variant: row for row in rows}
    lines: dict[str, list[tuple[float, Row]]] = {}
    for variant, row in accuracy.items():
        if variant != reference and variant in removed:
            lines.setdefault(style.family(variant)[0], []).append((removed[variant].share, row))
    for line in lines.values():
        line.sort(key=lambda point: point[0])
        if reference in accuracy:
            line.insert(0, (0.0, accuracy[reference]))
    names = max(style.text_width(name) for name in lines)
    width = style.WIDTH - LEFT - LEADER - names - EDGE
    wider = max(MIN_WIDTH - width, 0.0)
    width += wider
    gap = style.FONT * LINE_HEIGHT / 72
    height = max(HEIGHT, len(lines) * gap)
    total = (style.WIDTH + wider, BOTTOM + height + style.HEAD)
    figure = Figure(figsize=total, dpi=style.DPI)
    axes = style.add_axes(figure, LEFT, BOTTOM, width, height)
    right = 100 * max(share for line in lines.values() for share, _ in line)
    axes.set_xlim(-0.03 * right, right)
    looks = style.looks([reference, *lines], reference)
    ends = [line[-1] for line in lines.values()]
    heights = spread([row.accuracy for _, row in ends], gap / height, 0.0, 1.0)
    for number, ((name, line), y) in enumerate(zip(lines.items(), heights, strict=True)):
        look = looks[name]
        places = [100 * share for share, _ in line]
        values = [row.accuracy for _, row in line]
        errors = [
            [row.accuracy - row.ci_low for _, row in line],
            [row.ci_high - row.accuracy for _, row in line],
        ]
        axes.errorbar(
            places, values, yerr=errors, color=look.colour, linewidth=look.width,
            marker=look.marker, markersize=style.MARKER, markeredgecolor=look.colour,
            markerfacecolor=look.colour if look.filled else "white", elinewidth=0.8,
            zorder=3 + number, clip_on=False,
        )  # fmt: skip
        axes.annotate(
            name, xy=(places[-1], values[-1]), xytext=(1 + LEADER / width, y),
            textcoords=axes.get_yaxis_transform(), color=look.text_colour, va="center_baseline",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": look.colour, "linewidth": 0.7,
                        "shrinkA": 1, "shrinkB": 4, "relpos": (0, 0.5)},
        )  # fmt: skip
    set_accuracy(axes)
    axes.tick_params(axis="x", length=3, width=0.8)
    ticks = [tick for tick in MaxNLocator(8).tick_values(0, right) if tick <= right]
    axes.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    axes.set_xlabel("weights removed, % of all linear weights", labelpad=5)
    row = rows[0]
    style.title(
        figure,
        title_of(row.model, row.benchmark),
        f"budget {row.budget}; {row.problems} problems × {row.repeats} repeats; 95 % intervals",
    )
    return figure


def title_of(model: str, benchmark: str) -> str:
    return f"{model} on {benchmark}: accuracy against what is removed"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", required=True, type=Path, help="accuracy.csv")
    parser.add_argument("--results", required=True, type=Path, help="folder of the masks")
    parser.add_argument("--model", required=True)
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--reference", default="dense", help="the variant without pruning")
    parser.add_argument("--svg", required=True, type=Path, help="figure to write")
    parser.add_argument("--png", required=True, type=Path, help="figure to write")
    options = parser.parse_args(arguments)
    rows = rows_of(options.model, options.benchmark, options.table)
    variants = list(dict.fromkeys(row.variant for row in rows))
    known = read_removed(options.results, [options.model], variants)
    removed = {variant: one for (_, variant), one in known.items()}
    pruned = set(removed) - {options.reference}
    if not pruned:
        raise InputError(f"{options.table}: no pruned variant of {options.model} with a mask.json")
    largest = max(row.budget for row in rows if row.variant in pruned)
    rows = [row for row in rows if row.budget == largest]
    with style.applied():
        figure = draw_sparsity_curves(rows, removed, options.reference)
    style.save(figure, options.svg, options.png, title_of(options.model, options.benchmark))


if __name__ == "__main__":
    run_stage(main)
