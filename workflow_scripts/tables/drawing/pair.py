"""What pruning costs both models of a pair on one benchmark, variant by variant.

Left, the losses of both with their intervals; right, how much more the one that thinks loses. Rows
are grouped and coloured by what is taken out, as in the figure of families. Variants that were
trained after pruning are paler, means over variants black.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.content.formats import design
from workflow_scripts.tables.content.pair_text import MEANS
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.families import KINDS
from workflow_scripts.tables.drawing.labels import thin_ticks
from workflow_scripts.tables.drawing.looks import FAMILIES, HUES, shade
from workflow_scripts.tables.statistics.verdicts import ALPHA

# inches
ROW = 0.23
GAP = 0.75  # rows between groups, with the name of the next
# by model of the pair: marker, and how far up its line is, in rows
SIGNS = {"instruct": ("s", -0.14), "think": ("o", 0.14)}
MEAN_KIND = "means over variants"
OTHER = "nothing removed"  # the dense model with a recovery


def draw(source: Source) -> Figure:
    rows = source.table("pair")
    rows = rows[rows["benchmark"] == source.options["benchmark"]]
    if rows.empty:
        raise NoRows(f"{source.tables}/pair.csv: no row for {source.options['benchmark']}")
    rows = rows[rows["budget"] == rows["budget"].max()]
    groups = _groups(rows["variant"], source)
    one, lines = rows.iloc[0], sum(map(len, groups.values()))
    figure = style.new_figure(
        0.75 + (lines + GAP * len(groups)) * ROW,
        f"budget {one.budget}; {design(one)}, paired; 95 % intervals; filled right: p < {ALPHA} "
        "after Holm's correction",
        rows["variant"],
    )
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.25, 1])
    by_variant = rows.set_index("variant")
    places: dict[str, float] = {}
    y = 0.0
    for kind, variants in groups.items():
        y += GAP
        _name_group(left, kind, y - 0.72)
        for variant in variants:
            places[variant] = y
            _draw_row(left, right, by_variant.loc[variant], y, _colours(variant, source))
            y += 1
    left.set_yticks([*places.values()], labels=[*places])
    for label, variant in zip(left.get_yticklabels(), places, strict=True):
        label.set_color(_colours(variant, source)[1])
    left.set_ylim(y - 0.4, -0.35)
    _set_across(left, "loss of accuracy, percentage points")
    _set_across(right, f"loss of {one.think} less\nthat of {one.instruct}")
    _add_legend(left, {kind: one[kind] for kind in SIGNS})
    for axes in (left, right):
        thin_ticks(axes)
    return figure


def _groups(variants: list[str], source: Source) -> dict[str, list[str]]:
    """Variants by what they take out, in the order of the families; means last.

    Those that are pruned alike follow each other, whether they were trained afterwards or not.
    """
    found: dict[str, list[str]] = {KINDS[family]: [] for family in FAMILIES}
    first: dict[str, int] = {}
    for number, variant in enumerate(variants):
        first.setdefault(_base(variant, source), number)
    for variant in sorted(variants, key=lambda variant: first[_base(variant, source)]):
        family = None if variant in MEANS else source.ways[variant].family
        kind = MEAN_KIND if family is None else KINDS.get(family, OTHER)
        found.setdefault(kind, []).append(variant)
    ordered = {kind: members for kind, members in found.items() if members and kind != MEAN_KIND}
    return ordered | ({MEAN_KIND: found[MEAN_KIND]} if MEAN_KIND in found else {})


def _base(variant: str, source: Source) -> str:
    return variant if variant in MEANS else source.ways[variant].base


def _colours(variant: str, source: Source) -> tuple[str, str]:
    """Of a variant's marks and of its name."""
    way = None if variant in MEANS else source.ways[variant]
    if way is None or way.family not in FAMILIES:
        return style.INK, style.INK
    line, text = HUES[FAMILIES.index(way.family)]
    return shade(line, 0.0) if way.recovery else line, text


def _name_group(axes: Axes, kind: str, y: float) -> None:
    axes.text(
        0.01, y, kind, transform=axes.get_yaxis_transform(), fontsize=style.SMALL,
        color=style.FAINT_INK, va="center_baseline", zorder=4,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
    )  # fmt: skip


def _draw_row(left: Axes, right: Axes, row, y: float, colours: tuple[str, str]) -> None:
    colour, _ = colours
    for kind, (marker, up) in SIGNS.items():
        low, high = 100 * row[f"{kind}_loss_low"], 100 * row[f"{kind}_loss_high"]
        left.hlines(y + up, low, high, color=colour, linewidth=1.2, zorder=2)
        left.plot(
            100 * row[f"{kind}_loss"], y + up, marker=marker, markersize=4.2, color=colour,
            markerfacecolor=colour if kind == "think" else "white", markeredgewidth=1.0, zorder=3,
        )  # fmt: skip
    low, high = 100 * row["ci_low"], 100 * row["ci_high"]
    right.hlines(y, low, high, color=colour, linewidth=1.4, zorder=2)
    right.plot(
        100 * row["interaction"], y, marker="D", markersize=4.2, color=colour,
        markerfacecolor=colour if row["p_holm"] < ALPHA else "white", markeredgewidth=1.0, zorder=3,
    )  # fmt: skip


def _set_across(axes: Axes, label: str) -> None:
    axes.axvline(0, color=style.INK, linewidth=0.8, zorder=1)
    axes.tick_params(axis="y", length=0, pad=4, labelsize=style.SMALL)
    axes.tick_params(axis="x", length=3, width=0.8, labelsize=style.SMALL)
    axes.grid(axis="y", color=style.GRID, linewidth=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}".replace("-", "−")))
    axes.set_xlabel(label, fontsize=style.SMALL)


def _add_legend(axes: Axes, models: dict[str, str]) -> None:
    handles = [
        Line2D(
            [], [], color=style.INK, marker=marker, markersize=4.2, linewidth=1.2,
            markerfacecolor=style.INK if kind == "think" else "white", label=models[kind],
        )
        for kind, (marker, _) in SIGNS.items()
    ]  # fmt: skip
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False,
        fontsize=style.SMALL, borderaxespad=0.2, handlelength=1.6, columnspacing=1.4,
    )  # fmt: skip
