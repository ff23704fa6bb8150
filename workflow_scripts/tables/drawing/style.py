"""How every figure looks: colours, marks, fonts and sizes; files that come out the same each time.

Colours are Okabe and Ito's, which readers with any common colour blindness tell apart, without the
yellow that is lost on white. Colour and marker say which method a variant belongs to, line style
and filling how far it goes: `wanda-20` and `wanda-50` share a hue, the dense model is black.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from workflow_scripts.files.atomic import written_atomically

WIDTH = 6.5  # inches: the text width of a page
FONT = 9.5  # points
SMALL = 8.5
HEAD = 0.58  # inches above the axes for the title
MARGIN = 0.1  # inches beside the title
PANEL_GAP = 0.4  # inches between panels, with the numbers of their axes
MAX_NAME = 2.6  # inches that names may take beside axes before a figure grows wider
DPI = 200
INK = "#222222"
FAINT_INK = "#666666"
GRID = "#e3e3e3"
BAND_OPACITY = 0.13
MARKER = 5.2  # points

# (line, the same hue darkened until text in it is readable on white)
HUES = (
    ("#0072b2", "#005a8e"),  # blue
    ("#d55e00", "#a84a00"),  # vermillion
    ("#009e73", "#00704f"),  # bluish green
    ("#cc79a7", "#97436f"),  # reddish purple
    ("#e69f00", "#8a5f00"),  # orange
    ("#56b4e9", "#1c6d9c"),  # sky blue
    ("#7f7f7f", "#5c5c5c"),  # grey
)
MARKERS = ("s", "^", "D", "v", "P", "X", "h")
DASHES: tuple[tuple[float, ...], ...] = ((), (4.2, 1.6), (1.2, 1.3), (5.0, 1.3, 1.2, 1.3))

RC = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same on every machine
    "font.size": FONT,
    "axes.labelsize": FONT,
    "xtick.labelsize": FONT,
    "ytick.labelsize": FONT,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.edgecolor": FAINT_INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "text.hinting": "no_hinting",  # letters as wide on screen as `text_width` says
    # letters as shapes: the figure looks the same whatever fonts its reader has
    "svg.fonttype": "path",
    "svg.hashsalt": "prunethink",
}


@dataclass(frozen=True)
class Look:
    """How one variant is drawn."""

    colour: str
    text_colour: str
    marker: str
    filled: bool
    dashes: tuple[float, ...]
    width: float


DENSE = Look("#000000", "#000000", "o", filled=True, dashes=(), width=2.5)


def looks(variants: Sequence[str], reference: str = "dense") -> dict[str, Look]:
    """A look for every variant, from the names alone; no two are equal while there are enough.

    `reference`, the variant that removes nothing, is black. Those of one family (see `families`)
    share a hue.
    """
    found = {reference: DENSE} if reference in variants else {}
    pruned = families(variant for variant in variants if variant != reference)
    for place, members in enumerate(pruned.values()):
        turn, hue = divmod(place, len(HUES))
        dashes = cycle(DASHES[turn % len(DASHES) :] + DASHES[: turn % len(DASHES)])
        for rank, variant in enumerate(members):
            found[variant] = Look(
                *HUES[hue],
                marker=MARKERS[(hue + turn) % len(MARKERS)],
                filled=(rank + turn) % 2 == 0,
                dashes=next(dashes),
                width=1.7,
            )
    return {variant: found[variant] for variant in variants}


def line_size(number: int, count: int) -> float:
    """The size of the `number`-th of `count` lines that are drawn on top of one another.

    Later ones are thinner, so that of lines that coincide each shows at the edges of the next.
    """
    return 1.25 - 0.5 * number / max(count - 1, 1)


def text_width(text: str, size: float = FONT, weight: str = "normal") -> float:
    """Inches that a line of text takes in the figures' font; `size` in points."""
    font = FontProperties(family=RC["font.family"], size=size, weight=weight)
    # of the PNG, where letters start at whole pixels and a line is a little longer than in the SVG
    width, _, _ = RendererAgg(1, 1, DPI).get_text_width_height_descent(text, font, ismath=False)
    return width / DPI


def new_figure(height: float, title: str, subtitle: str, names: Iterable[str] = ()) -> Figure:
    """A figure with its title, a line below it, and `height` inches for what it shows.

    It is as wide as a page's text; where the longest of the `names` beside its axes would leave
    them little, it is wider. A title that is wider than the figure is set smaller.
    """
    width = WIDTH + max(0.0, max(map(text_width, names), default=0.0) - MAX_NAME)
    total = HEAD + height
    figure = Figure(figsize=(width, total), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0, 1, height / total), w_pad=0.06, h_pad=0.06)
    for line, down, size, weight, colour in (
        (title, 0.12, FONT + 1, "bold", INK),
        (subtitle, 0.34, SMALL, "normal", FAINT_INK),
    ):
        wide = text_width(line, size, weight)
        figure.text(
            MARGIN / width,
            1 - down / total,
            line,
            fontsize=size * min(1.0, (width - 2 * MARGIN) / wide),
            fontweight=weight,
            color=colour,
            va="top",
        )
    return figure


def lay_out(figure: Figure) -> None:
    """Give all axes their places, once: it is most of the time that a figure takes."""
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine("none")


def panels(figure: Figure, count: int, columns: int) -> list[Axes]:
    """Axes that share their limits and ticks, in lines of `columns`; the lowest of each column and
    the first of each line have numbers."""
    shape = math.ceil(count / columns), columns
    made = list(figure.subplots(*shape, sharex=True, sharey=True, squeeze=False).flat)
    for axes in made[count:]:
        axes.remove()
    for axes in made[:count][-columns:]:
        axes.tick_params(labelbottom=True)
    return made[:count]


def name_panel(axes: Axes, name: str, columns: int, colour: str = INK) -> None:
    """Write a name above one of several panels in a line, small enough to end before the next."""
    place = axes.figure.get_figwidth() / columns - PANEL_GAP
    size = SMALL * min(1.0, place / text_width(name, SMALL))
    axes.set_title(name, loc="left", fontsize=size, color=colour, pad=4)


def family(variant: str) -> tuple[str, float]:
    """A variant's name without its last number, and that number; 0 where it has none."""
    match = re.fullmatch(r"(.+?)[-_]?([0-9]+(?:\.[0-9]+)?)", variant)
    return (match[1], float(match[2])) if match else (variant, 0.0)


def family_name(variant: str) -> str:
    return family(variant)[0]


def families(variants: Iterable[str]) -> dict[str, list[str]]:
    """Variants whose names differ only in a last number, in its order, by the rest of the name."""
    found: dict[str, list[tuple[float, str]]] = {}
    for variant in variants:
        name, level = family(variant)
        found.setdefault(name, []).append((level, variant))
    return {name: [variant for _, variant in sorted(members)] for name, members in found.items()}


@contextmanager
def applied() -> Iterator[None]:
    """Matplotlib in the project's style, whatever a user's own settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        yield


def save(figure: Figure, svg: Path, png: Path, title: str) -> None:
    """Write a figure as SVG and as PNG, without dates and versions that would change its bytes."""
    metadata: Mapping[str, str | None] = {"Title": title, "Date": None, "Creator": None}
    with applied():
        lay_out(figure)
        with written_atomically(svg) as temporary, temporary.open("wb") as file:
            FigureCanvasSVG(figure).print_svg(file, metadata=dict(metadata))
        with written_atomically(png) as temporary, temporary.open("wb") as file:
            figure.set_dpi(DPI)  # the SVG has left it at 72
            FigureCanvasAgg(figure).print_png(file, metadata={"Title": title, "Software": None})
