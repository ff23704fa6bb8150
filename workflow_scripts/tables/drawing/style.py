"""How every figure looks: fonts and sizes; files that come out the same each time."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from workflow_scripts.files.atomic import written_atomically

WIDTH = 6.5  # inches: the text width of a page
FONT = 9.5  # points
SMALL = 8.5
HEAD = 0.32  # inches above the axes for the notes
MARGIN = 0.1  # inches beside the notes
PANEL_GAP = 0.4  # inches between panels, with the numbers of their axes
MAX_NAME = 2.6  # inches that names may take beside axes before a figure grows wider
DPI = 200
# and what their writers would put into a file that differs from day to day
FORMATS = {
    ".svg": (FigureCanvasSVG, "print_svg", {"Date": None, "Creator": None}),
    ".pdf": (FigureCanvasPdf, "print_pdf", {"CreationDate": None, "Creator": None,
                                            "Producer": None}),
    ".png": (FigureCanvasAgg, "print_png", {"Software": None}),
}  # fmt: skip
INK = "#222222"
FAINT_INK = "#666666"
GRID = "#e3e3e3"
BAND_OPACITY = 0.13
MARKER = 5.2  # points

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
    "pdf.fonttype": 42,  # TrueType: publishers refuse Type 3
    "svg.hashsalt": "prunethink",
}


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


def new_figure(height: float, note: str, names: Iterable[str] = ()) -> Figure:
    """A figure with a line of notes above it, and `height` inches for what it shows.

    Its title is none of its business: a paper has captions, and so has the report. It is as wide as
    a page's text; where the longest of the `names` beside its axes would leave them little, it is
    wider. Notes that are wider than the figure are set smaller.
    """
    width = WIDTH + max(0.0, max(map(text_width, names), default=0.0) - MAX_NAME)
    total = HEAD + height
    figure = Figure(figsize=(width, total), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0, 1, height / total), w_pad=0.06, h_pad=0.06)
    figure.text(
        MARGIN / width,
        1 - MARGIN / total,
        note,
        fontsize=SMALL * min(1.0, (width - 2 * MARGIN) / text_width(note, SMALL)),
        color=FAINT_INK,
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


@contextmanager
def applied() -> Iterator[None]:
    """Matplotlib in the project's style, whatever a user's own settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        yield


def save(figure: Figure, outputs: Iterable[Path], title: str) -> None:
    """Write a figure as SVG, PDF or PNG, as each output's ending says, without dates and versions
    that would change its bytes."""
    with applied():
        lay_out(figure)
        for output in outputs:
            canvas, writer, metadata = FORMATS[output.suffix]
            figure.set_dpi(DPI)  # SVG and PDF leave it at 72
            with written_atomically(output) as temporary, temporary.open("wb") as file:
                # not by `print_figure`, which draws once more beforehand, to lay out again
                write = getattr(canvas(figure), writer)
                write(file, metadata={"Title": title, **metadata})
