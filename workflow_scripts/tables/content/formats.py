"""A table as Markdown, as LaTeX (booktabs) and as a page that sorts and filters without a network.

Pages are templates in `tables/templates`; DataTables, which sorts and filters them, comes with
itables.
"""

import math
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from workflow_scripts.tables.limits import limits_note

TEMPLATES = Path(__file__).parents[1] / "templates"
SUBLAYERS = {"attention": "attention", "mlp": "MLP"}  # of a block, as people read them
# characters of a line in LaTeX's 10 points, on a page's text and on that of a turned one
PAGE = 92
TURNED_PAGE = 132

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
        "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "±": r"$\pm$", "×": r"$\times$", "−": "$-$", "†": r"$^\dagger$", "σ": r"$\sigma$",
        "≥": r"$\geq$", "≤": r"$\leq$", "–": "--", "√": r"$\surd$", "∞": r"$\infty$",
        # LaTeX's usual font has other signs in their places
        "<": "$<$", ">": "$>$", "|": "$|$",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Section:
    """One table: its title, what must be known to read it, and its cells as text.

    The columns named in `left` are aligned left, as names and words are; the first one always is.
    """

    title: str
    caption: str
    frame: pd.DataFrame
    left: frozenset[str] = field(default_factory=frozenset)

    @property
    def alignment(self) -> list[str]:
        names = [*self.frame.columns]
        return ["left" if n == names[0] or n in self.left else "right" for n in names]


@dataclass(frozen=True)
class Built:
    """A table in all formats: `frames` become CSV files of these names, `sections` Markdown and
    LaTeX. `page` is what its HTML page shows, where that is not the same; `of_answers` says whether
    limits of benchmarks concern it."""

    title: str
    frames: dict[str, pd.DataFrame]
    sections: list[Section]
    page: list[Section] | None = None
    of_answers: bool = True


def pivoted(rows: pd.DataFrame, across: str, texts: str = "text") -> pd.DataFrame:
    """Variants down, the values of a column across, in the order in which they first occur."""
    table = rows.pivot(index="variant", columns=across, values=texts).fillna("")
    order = sorted if pd.api.types.is_numeric_dtype(rows[across]) else list
    table = table.loc[rows["variant"].unique(), order(rows[across].unique())]
    return table.rename(columns=str).rename_axis(columns=None).reset_index()


def markdown(sections: Sequence[Section]) -> str:
    """The sections as Markdown."""
    return "\n".join(
        f"**{section.title}**: {section.caption}\n\n{_pipes(section)}\n" for section in sections
    )


def _pipes(section: Section) -> str:
    frame = section.frame
    if frame.empty:  # a line all the same: without one tabulate aligns nothing
        frame = pd.DataFrame([[""] * len(frame.columns)], columns=frame.columns)
    return frame.to_markdown(index=False, disable_numparse=True, colalign=section.alignment)


def latex(sections: Sequence[Section], name: str) -> str:
    """The sections as LaTeX tables, each with its caption and the label `tab:name-1`, `-2`, ...

    One that is wider than a page's text is turned, and one that is wider than a turned page parted.
    """
    parts = [part for section in sections for part in _parts(section)]
    tables = [
        part.frame.map(latex_text)
        .rename(columns=latex_text)
        .style.hide(axis="index")
        .to_latex(
            hrules=True,
            position_float="centering",
            environment="sidewaystable" if sum(_widths(part.frame)) > PAGE else None,
            caption=latex_text(f"{part.title}: {part.caption}"),
            label=f"tab:{name}-{number}",
            column_format="".join(side[0] for side in part.alignment),
        )
        for number, part in enumerate(parts, 1)
    ]
    return "% needs \\usepackage{booktabs,rotating}\n" + "\n".join(tables)


def _widths(frame: pd.DataFrame) -> list[int]:
    """Characters that each column of a table takes, with two between columns."""
    return [max(map(len, [name, *cells])) + 2 for name, cells in frame.items()]


def _parts(section: Section) -> Iterator[Section]:
    """A section, or several with as many of its columns as a turned page has place for, each with
    those that are aligned left."""
    frame, sides, widths = section.frame, section.alignment, _widths(section.frame)
    heads = [place for place, side in enumerate(sides) if side == "left"]
    parts: list[list[int]] = [[]]
    for place in range(len(sides)):
        if place in heads:
            continue
        width = sum(widths[column] for column in [*heads, *parts[-1], place])
        if parts[-1] and width > TURNED_PAGE:
            parts.append([])
        parts[-1].append(place)
    if len(parts) == 1:
        yield section
        return
    for number, places in enumerate(parts, 1):
        title = f"{section.title} ({number} of {len(parts)})"
        yield replace(section, title=title, frame=frame.iloc[:, [*heads, *places]])


def latex_text(text: str) -> str:
    """Text as LaTeX shows it literally, with the signs that tables use as mathematics."""
    return text.translate(_LATEX)


def page(template: str, **values: Any) -> str:
    """A page from a template, everything in `values` escaped, that needs nothing but itself."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sort_key"] = sort_key
    bundle = files("itables") / "html"
    encoded = {
        kind: b64encode((bundle / f"dt_bundle.{kind}").read_bytes()).decode()
        for kind in ("js", "css")
    }
    return environment.get_template(template).render(datatables=encoded, **values)


def sort_key(text: str) -> str:
    """What a cell is sorted by: the number that it begins with, else its text."""
    number = re.match(r"[+-]?[\d,]*\.?\d+(e[+-]?\d+)?", text.replace("−", "-"))
    return number[0].replace(",", "") if number else text


def signed(value: float, digits: int) -> str:
    """A number with its sign, a real minus, and no sign at zero."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def in_percent(share: float) -> str:
    """A share of 1 in per cent with its sign: percentage points, where it is one of accuracies."""
    return signed(100 * share, 1)


def with_percent_bounds(value: float, low: float, high: float) -> str:
    """The same with its bounds; a dash where there is none."""
    if math.isnan(value):
        return "–"
    return f"{in_percent(value)} [{in_percent(low)}, {in_percent(high)}]"


def count(number: int, noun: str) -> str:
    """`1 problem`, `2 problems`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def design(row: Any) -> str:
    """How much a row of a table was measured on, `240 problems × 4 repeats`."""
    return f"{count(row.problems, 'problem')} × {count(row.repeats, 'repeat')}"


def with_limits(sections: Sequence[Section], limits: Mapping[str, str]) -> list[Section]:
    """The sections, with the limits of benchmarks in their captions, where there are any."""
    note = limits_note(limits)
    return [replace(section, caption=f"{section.caption}{note}") for section in sections]


def missing_note(missing: Sequence[str]) -> str:
    """What a table's caption says of graded files that are not there; nothing where all are."""
    return f" Missing: {', '.join(missing)}." if missing else ""
