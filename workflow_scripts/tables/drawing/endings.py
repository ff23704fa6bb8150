"""How traces end under every budget, a panel of stacked bars for every variant.

From below: by themselves, with the model's turn inside the thinking, cut by the budget, and cut in
a loop.
"""

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from workflow_scripts.tables.content.columns import NoRows
from workflow_scripts.tables.content.formats import design
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.drawing import style
from workflow_scripts.tables.drawing.labels import short

COLUMNS = 4
HEIGHT, ALONE = 1.4, 3.2  # inches of a panel, and of one line of panels
# by column, its name and colour, from below; apart with any common colour blindness, and in grey
SHARES = {
    "ended": ("ended by itself", "#cfe3f2"),
    "inside": ("turn ended inside", "#56b4e9"),
    "cut": ("cut", "#8a8a8a"),
    "cut_looping": ("cut in a loop", "#d55e00"),
}


def draw(source: Source) -> Figure:
    rows = source.rows("diagnosis")
    rows = rows[rows["looping"].notna()]
    if rows.empty:
        raise NoRows(f"{source.tables}/diagnosis.csv: no traces were measured")
    variants, budgets = list(rows["variant"].unique()), sorted(rows["budget"].unique())
    columns = min(COLUMNS, len(variants))
    lines = math.ceil(len(variants) / columns)
    figure = style.new_figure(
        0.5 + lines * HEIGHT if lines > 1 else ALONE,
        f"shares of traces by budget (thinking tokens); {design(rows.iloc[0])}",
    )
    panels = style.panels(figure, len(variants), columns)
    for axes, variant in zip(panels, variants, strict=True):
        of_it = rows[rows["variant"] == variant].set_index("budget").reindex(budgets)
        below = np.zeros(len(budgets))
        of_it["cut"] -= of_it["cut_looping"]
        for name, heights in of_it[[*SHARES]].items():
            axes.bar(range(len(budgets)), heights, 0.82, below, color=SHARES[name][1], linewidth=0)
            below += heights.fillna(0.0)
        style.name_panel(axes, variant, columns)
        axes.tick_params(axis="y", length=0, pad=4, labelsize=style.SMALL - 0.5)
        axes.tick_params(axis="x", length=0, labelsize=style.SMALL - 1.5, pad=2)
    first = panels[0]
    first.set_ylim(0, 1)
    first.set_yticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "", "0.5", "", "1"])
    # as many budgets are named as have place
    every = math.ceil(len(budgets) * 0.36 * columns / style.WIDTH)
    named = [short(b) if n % every == 0 else "" for n, b in enumerate(budgets[::-1])][::-1]
    first.set_xticks(range(len(budgets)), labels=named)
    figure.legend(
        handles=[Patch(color=colour, label=name) for name, colour in SHARES.values()][::-1],
        loc="outside lower center", ncols=len(SHARES), frameon=False, fontsize=style.SMALL,
        handlelength=1.0, columnspacing=1.4,
    )  # fmt: skip
    figure.supylabel("share of traces", fontsize=style.SMALL)
    return figure
