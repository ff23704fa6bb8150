"""Labels that do not cover each other: names at the ends of lines, numbers at ticks."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from workflow_scripts.tables.drawing.looks import Look
from workflow_scripts.tables.drawing.style import lay_out

LINE_HEIGHT = 1.32  # in font sizes
GAP = 0.07  # inches between the numbers of ticks
EDGE = 0.98  # widths of the axes from which on an end is at the right edge
COLUMN = 0.07  # widths of the axes between them and the names


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Heights as near as can be to those wanted, at least `gap` apart and inside [low, high].

    The sum of squared moves is the smallest possible. Equal wishes keep their order, the first on
    top. Where `gap` does not fit, the heights divide [low, high] evenly.
    """
    if not wanted:
        return []
    from scipy.optimize import isotonic_regression  # 0.3 s, which figures without names save

    count = len(wanted)
    gaps = min(gap, (high - low) / max(count - 1, 1)) * np.arange(count)
    order = sorted(range(count), key=lambda place: (wanted[place], -place))
    # with i gaps taken off the i-th height from below, the heights need only not decrease
    level = isotonic_regression(np.asarray(wanted, dtype=float)[order] - gaps).x
    heights = np.empty(count)
    heights[order] = np.clip(level, low, high - gaps[-1]) + gaps
    return heights.tolist()


def name_ends(
    named: Sequence[tuple[Axes, Mapping[str, tuple[float, float]], Mapping[str, Look]]],
    size: float,
) -> None:
    """In each of some axes, name every line in a column right of them, at the height of its end.

    A leader joins the name to an end at the right edge. One to an end further left would run across
    other lines: the line's mark stands beside its name instead. The layout makes place for the
    names; their heights follow from those of the laid out axes.
    """
    made = [
        [_name(axes, name, end, looks[name], size) for name, end in ends.items()]
        for axes, ends, looks in named
    ]
    figure = named[0][0].figure
    lay_out(figure)
    for (axes, ends, _), labels in zip(named, made, strict=True):
        low, high = axes.get_ylim()
        points = axes.get_window_extent().height / figure.dpi * 72
        gap = LINE_HEIGHT * size / points * (high - low)
        heights = spread([y for _, y in ends.values()], gap, low, high)
        for (label, mark), y in zip(labels, heights, strict=True):
            label.set_y(y)
            if mark:
                mark.set_ydata([y])


def _name(
    axes: Axes, name: str, end: tuple[float, float], look: Look, size: float
) -> tuple[Annotation, Line2D | None]:
    """A name beside its line's end, and the line's mark where no leader joins them."""
    transform = axes.get_yaxis_transform()  # x in widths of the axes, y as the data
    across, _ = axes.transAxes.inverted().transform(axes.transData.transform(end))
    leader = {
        "arrowstyle": "-", "color": look.colour, "linewidth": 0.7,
        "shrinkA": 1, "shrinkB": 4, "relpos": (0, 0.5),
    }  # fmt: skip
    at_edge = across > EDGE
    label = axes.annotate(
        name,
        xy=end,
        xytext=(1 + COLUMN, end[1]),
        textcoords=transform,
        color=look.text_colour,
        fontsize=size,
        va="center_baseline",
        annotation_clip=False,
        arrowprops=leader if at_edge else None,
    )
    if at_edge:
        return label, None
    (mark,) = axes.plot(
        [1 + COLUMN / 2], [end[1]], transform=transform, color=look.colour, marker=look.marker,
        markerfacecolor=look.marker_fill, markersize=size / 2, linestyle="none", clip_on=False,
    )  # fmt: skip
    return label, mark


def short(tokens: float) -> str:
    """Numbers of tokens from 1024 on in units of so many: `8k`, `1.5k`."""
    return f"{round(tokens / 1024, 1):g}k" if tokens >= 1024 else f"{tokens:g}"


def thin_ticks(axes: Axes) -> None:
    """Take away what stands at a tick and would touch that of the next larger one."""
    lay_out(axes.figure)
    low, high = axes.get_xlim()
    left_end, texts = np.inf, {}
    for tick, label in reversed(list(zip(axes.get_xticks(), axes.get_xticklabels(), strict=True))):
        if low <= tick <= high:
            box = label.get_window_extent()
            fits = box.x1 + GAP * axes.figure.dpi <= left_end
            texts[tick] = label.get_text() if fits else ""
            left_end = box.x0 if fits else left_end
    axes.set_xticks(list(texts)[::-1], labels=list(texts.values())[::-1])
    axes.set_xlim(low, high)
