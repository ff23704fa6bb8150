"""What variants lose of the dense model's accuracy against their divergence from it on its traces.

A mark for every variant that went on to generation, under the largest budget; ticks at the bottom
are those that were screened out. Divergences are on a logarithmic axis; one of 0 or below, which is
the dense model's to rounding, stands at the left end.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.tables.content.columns import ALL
from workflow_scripts.tables.content.formats import design
from workflow_scripts.tables.content.screening_text import said_of
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.curves import height_for
from workflow_scripts.tables.drawing.labels import name_ends
from workflow_scripts.tables.drawing.looks import looks_of

HEIGHT = 3.4  # inches
LEFT = 2.0  # how many times smaller than the smallest the left end is


def draw(source: Source) -> Figure:
    rows = source.rows("screening_losses")
    found = source.rows("screening_correlations")
    (row,) = found[found["measure"] == "kl"].itertuples()
    looks, screens = looks_of(source), source.table("screening")
    out = screens[
        (screens["model"] == source.options["model"])
        & (screens["part"] == ALL)
        & (screens["goes_on"] == "no")
    ]
    shown = [*rows["kl"], *out["kl"]]
    left = min((kl for kl in shown if kl > 0), default=1.0) / LEFT
    figure = style.new_figure(
        height_for(len(rows), HEIGHT, style.SMALL),
        f"budget {row.budget}; {design(rows.iloc[0])}; 95 % intervals. {said_of(row)}",
        rows["variant"],
    )
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_xlim(left / LEFT, LEFT * max(*shown, left))
    axes.axhline(0, color=style.INK, linewidth=0.8, zorder=1)
    ends = {}
    for number, one in enumerate(rows.itertuples()):
        look, place = looks[one.variant], (max(one.kl, left), 100 * one.lost)
        axes.errorbar(
            *place, yerr=[[place[1] - 100 * one.ci_low], [100 * one.ci_high - place[1]]],
            color=look.colour, marker=look.marker, markersize=style.MARKER,
            markerfacecolor=look.marker_fill, elinewidth=0.8, zorder=3 + number, clip_on=False,
        )  # fmt: skip
        ends[one.variant] = place
    _mark_out(axes, [max(kl, left) for kl in out["kl"]])
    axes.tick_params(axis="both", length=3, width=0.8)
    axes.grid(axis="y", color=style.GRID, linewidth=0.6)
    traces = f"its traces of {rows['screened'].iloc[0]}"
    axes.set_xlabel(f"KL divergence from the dense model on {traces}, nats per token")
    axes.set_ylabel("accuracy lost, percentage points")
    name_ends([(axes, ends, looks)], style.SMALL)
    return figure


def _mark_out(axes: Axes, divergences: list[float]) -> None:
    """A tick above the axis for each variant that was screened out."""
    if not divergences:
        return
    axes.plot(
        divergences, [0.02] * len(divergences), transform=axes.get_xaxis_transform(), marker="|",
        markersize=9, color=style.FAINT_INK, linestyle="none", zorder=2, label="screened out",
    )  # fmt: skip
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize=style.SMALL,
        borderaxespad=0.2, handlelength=0.8,
    )  # fmt: skip
