"""The loss of a model's variants while they are trained after pruning, a panel for each.

Thin: the mean loss of every step's tokens; with dots: that of the rows that were kept apart. A
broken line stands at the step whose weights the variant has. All panels have one scale, so that
variants can be compared; steps of which the loss is far above all others run out of it at the top.
"""

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from workflow_scripts.artefacts.recovery_records import RecoveryRecord, read_recovery_record
from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.looks import looks_of

COLUMNS = 3
PANEL_HEIGHT = 1.45  # inches
MOST = 0.99  # share of the steps that the scale holds
WIDE = 20.0  # times the least loss: of more, the scale is logarithmic
TRAINED, KEPT = 0.8, 1.0  # widths of lines, points


def draw(source: Source) -> Figure:
    folder = source.shared / source.options["model"]
    paths = {variant: folder / variant / "recovery.json" for variant in source.recovered}
    records = {v: read_recovery_record(path) for v, path in paths.items() if path.exists()}
    if not records:
        raise NoRows(f"{folder}: no variant has a recovery.json")
    looks = looks_of(source)
    columns = min(COLUMNS, len(records))
    lines = math.ceil(len(records) / columns)
    figure = style.new_figure(
        0.75 + lines * PANEL_HEIGHT,
        "thin: rows trained on; dots: rows kept apart; broken: the step that is kept, its loss in "
        "brackets",
    )
    panels = style.panels(figure, len(records), columns)
    for axes, (variant, record) in zip(panels, records.items(), strict=True):
        _draw_panel(axes, record, looks[variant].hue)
        style.name_panel(axes, f"{variant}{_kept(record)}", columns, looks[variant].text_colour)
    _set_scale(panels, records.values())
    figure.supxlabel("step", fontsize=style.FONT)
    figure.supylabel("loss, nats a token", fontsize=style.FONT)
    return figure


def _draw_panel(axes, record: RecoveryRecord, colour: str) -> None:
    steps, losses = zip(*((one.step, one.loss) for one in record.steps), strict=True)
    axes.plot(steps, losses, color=colour, linewidth=TRAINED, alpha=0.6, zorder=2)
    if record.validation:
        measured = zip(*((one.step, one.loss) for one in record.validation), strict=True)
        axes.plot(*measured, color=style.INK, linewidth=1.3, marker="o", markersize=3, zorder=3)
    axes.axvline(
        record.kept_step, color=style.INK, linewidth=KEPT, linestyle=(0, (3, 2)), zorder=1.5
    )
    axes.tick_params(which="both", length=0, labelsize=style.SMALL)
    axes.grid(axis="y", color=style.GRID, linewidth=0.8)


def _kept(record: RecoveryRecord) -> str:
    """The validation loss of the kept step, behind a panel's name, where it was measured."""
    found = [one.loss for one in record.validation if one.step == record.kept_step]
    return f" ({found[0]:.2g})" if found else ""


def _set_scale(panels, records) -> None:
    of_steps = np.array([one.loss for record in records for one in record.steps])
    measured = [one.loss for record in records for one in record.validation]
    top = max(np.quantile(of_steps, MOST), *measured, 0.0)
    low = min(of_steps.min(), *measured, top)
    if 0 < WIDE * low < top:
        panels[0].set_yscale("log")
        panels[0].set_ylim(low / 1.4, 1.4 * top)
    else:
        margin = 0.06 * (top - low) or 0.1
        panels[0].set_ylim(max(0.0, low - margin), top + margin)
        panels[0].yaxis.set_major_locator(MaxNLocator(4))
    last = max(one.step for record in records for one in record.steps)
    panels[0].set_xlim(0, 1.02 * last)
    panels[0].xaxis.set_major_locator(MaxNLocator(4, integer=True))
