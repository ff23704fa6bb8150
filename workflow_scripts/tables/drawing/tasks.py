"""What pruning costs on the families of tasks, against the share of all parameters removed.

With dynamic variants among them, which remove none, it is the share of the blocks' weights that a
token does not use.

A panel for every family of tasks, with what a variant loses of the mean over its tasks: percentage
points, more is worse. A hue is what is taken out, the same in every figure; variants that differ
only in how much they remove are one line, which begins at the dense model, or where they were
trained after pruning at the dense model with the same training. A variant without others of its
way is a mark, since a line would claim what was not measured.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from workflow_scripts.tables.content.columns import ALL, MEAN, NoRows
from workflow_scripts.tables.content.formats import count
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.families import KINDS
from workflow_scripts.tables.drawing.looks import FAMILIES, Look, looks
from workflow_scripts.tables.drawing.sparsity import LABELS

# inches
HEIGHT = 2.5
LEGEND_LINE = 0.2
COLUMNS = 3  # panels in a line
LEGEND_COLUMNS, LEGEND_LETTERS = 3, 100  # at most; the letters are those of a line, signs too
SIGN_LETTERS = 5
ROOM = 0.05  # of an axis beside what it shows
BOUNDS = ("difference_low", "difference_high")


def draw(source: Source) -> Figure:
    table, model = source.table("tasks"), source.options["model"]
    rows = table[(table["model"] == model) & (table["task"] == MEAN) & (table["family"] != ALL)]
    is_dynamic = any(source.ways[variant].is_dynamic for variant in rows["variant"])
    share = "unused" if is_dynamic else "removed_of_all"
    rows = rows.assign(share=rows[share]).dropna(subset=["difference", "share"])
    if rows.empty:
        raise NoRows(f"{source.tables}/tasks.csv: no mean over a family of {model} is compared")
    removed = rows.groupby("variant", sort=False)["share"].first()
    of_variants = looks(source.ways, removed.to_dict(), source.reference, "family", FAMILIES)
    lines = _lines(rows, source)
    families = [*rows["family"].unique()]
    columns = min(COLUMNS, len(families))
    in_legend = _legend_columns(_labels(lines, source))
    across, down = -(-len(families) // columns), -(-len(lines) // in_legend)
    figure = style.new_figure(
        across * HEIGHT + down * LEGEND_LINE + 0.3,
        f"95 % intervals of the difference to {source.reference} on the same samples",
        lines,
    )
    panels = style.panels(figure, len(families), columns)
    for axes, family in zip(panels, families, strict=True):
        members = rows[rows["family"] == family]
        size = f"{count(members['tasks'].iloc[0], 'task')}"
        style.name_panel(axes, f"{family}, {size}", columns)
        axes.axhline(0, color=style.INK, linewidth=0.8, zorder=1)
        for number, variants in enumerate(lines.values()):
            line = members[members["variant"].isin(variants)].sort_values("share")
            if len(line):
                look = of_variants[line["variant"].iloc[-1]]
                begin = _begin(members, line, source)
                _draw_line(axes, pd.concat([begin, line]), look, number)
    least, most = (100 * limit for limit in (min(removed.min(), 0.0), removed.max()))
    panels[0].set_xlim(least - ROOM * (most - least), most + ROOM * (most - least))
    panels[0].xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    panels[0].xaxis.set_major_formatter("{x:g}")
    for axes in panels[-columns:]:
        axes.set_xlabel(LABELS[share], fontsize=style.SMALL)
    for axes in panels[::columns]:
        axes.set_ylabel("loss, percentage points", fontsize=style.SMALL)
    _add_legend(figure, lines, of_variants, source)
    return figure


def _lines(rows: pd.DataFrame, source: Source) -> dict[str, list[str]]:
    """The variants of each way by its name, families of pruning in their order."""
    found: dict[str, list[str]] = {}
    order = {family: place for place, family in enumerate(FAMILIES)}
    variants = sorted(
        rows["variant"].unique(), key=lambda v: order.get(source.ways[v].family, len(order))
    )
    for variant in variants:
        found.setdefault(source.ways[variant].name, []).append(variant)
    return found


def _begin(members: pd.DataFrame, line: pd.DataFrame, source: Source) -> pd.DataFrame | None:
    """Where a line of several variants begins: at no loss, or at that of its control."""
    way = source.ways[line["variant"].iloc[0]]
    if len(line) < 2 or way.family == "none":
        return None
    if not way.recovery:
        zero = dict.fromkeys(("share", "difference", *BOUNDS), 0.0)
        return pd.DataFrame([zero])
    controls = [
        variant
        for variant in members["variant"]
        if source.ways[variant].family == "none" and source.ways[variant].recovery == way.recovery
    ]
    return members[members["variant"].isin(controls)]


def _draw_line(axes: Axes, line: pd.DataFrame, look: Look, number: int) -> None:
    loss, high, low = (-100 * line[name] for name in ("difference", *BOUNDS))
    axes.errorbar(
        100 * line["share"], loss, yerr=[loss - low, high - loss], color=look.hue,
        linewidth=look.width, dashes=look.dashes or (None, None), marker=look.marker,
        markersize=style.MARKER, markerfacecolor=look.fill or look.hue, elinewidth=0.8,
        zorder=3 + number,
    )  # fmt: skip
    axes.tick_params(axis="both", length=3, width=0.8, labelsize=style.SMALL)
    axes.grid(axis="y", color=style.GRID, linewidth=0.6)


def _labels(lines: Mapping[str, list[str]], source: Source) -> list[str]:
    """What the legend calls each line: its way, and the kind of that."""
    found = []
    for name, variants in lines.items():
        family = source.ways[variants[-1]].family
        kind = KINDS.get(family, family).partition(":")[0]
        found.append(f"{name} ({kind})" if family != "none" else name)
    return found


def _legend_columns(labels: Sequence[str]) -> int:
    """As many as the longest of the labels leaves room for."""
    longest = max(map(len, labels)) + SIGN_LETTERS
    return min(LEGEND_COLUMNS, max(1, LEGEND_LETTERS // longest))


def _add_legend(
    figure: Figure, lines: Mapping[str, list[str]], of_variants: Mapping[str, Look], source: Source
) -> None:
    """Ways by line and marker, below the panels; their colours by kind, in the same text."""
    handles, colours, labels = [], [], _labels(lines, source)
    for label, variants in zip(labels, lines.values(), strict=True):
        look = of_variants[variants[-1]]
        handles.append(
            Line2D(
                [],
                [],
                color=look.hue,
                marker=look.marker,
                markersize=style.MARKER,
                markerfacecolor=look.fill or look.hue,
                dashes=look.dashes or (None, None),
                linewidth=look.width if len(variants) > 1 else 0,
                label=label,
            )  # fmt: skip
        )
        colours.append(look.text_colour)
    figure.legend(
        handles=handles, loc="outside lower left", ncols=_legend_columns(labels), frameon=False,
        fontsize=style.SMALL, labelcolor=colours, handlelength=1.8, columnspacing=1.4,
    )  # fmt: skip
