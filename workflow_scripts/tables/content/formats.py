"""A table as Markdown, as LaTeX (booktabs) and as an HTML page that sorts and filters."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from tabulate import tabulate

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; margin: 2rem auto; max-width: 80rem;
  padding: 0 1rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .3rem; }
.caption { color: #555; margin: 0 0 .5rem; max-width: 60rem; }
.caption::first-letter { text-transform: uppercase; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: .25rem .8rem; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child { position: sticky; left: 0; background: #fff; }
thead th { border-bottom: 2px solid #666; cursor: pointer; text-align: left; }
thead th::after { content: " \\2195"; color: #999; font-weight: normal; }
thead th[aria-sort=ascending]::after { content: " \\2191"; color: #222; }
thead th[aria-sort=descending]::after { content: " \\2193"; color: #222; }
tbody tr:hover td { background: #f4f7fa; }
input[type=search] { font: inherit; padding: .3rem .6rem; width: 22rem; max-width: 100%;
  border: 1px solid #888; border-radius: 4px; box-sizing: border-box; }
@media print { .filter, thead th::after { display: none; } }
"""

# Sorts by the number that a cell begins with, else by its text; what is empty stays below. A row is
# shown where it and its section's title hold every word of the filter.
SCRIPT = """
function value(row, column) {
  const text = row.cells[column].textContent.trim().replace("\\u2212", "-");
  const number = parseFloat(text);
  return text === "" ? null : Number.isNaN(number) ? text : number;
}
function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "number" || typeof b === "number") return typeof a === "number" ? -1 : 1;
  return a.localeCompare(b, "en", {numeric: true});
}
function sort(head) {
  const table = head.closest("table"), column = head.cellIndex;
  const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, other) => {
    const a = value(one, column), b = value(other, column);
    if (a === null || b === null) return (a === null) - (b === null);
    return way * compare(a, b);
  });
  table.tBodies[0].append(...rows);
}
for (const head of document.querySelectorAll("table.data thead th")) {
  head.tabIndex = 0;
  head.addEventListener("click", () => sort(head));
  head.addEventListener("keydown", event => { if (event.key === "Enter") sort(head); });
}
for (const input of document.querySelectorAll("input[type=search]")) {
  const scope = input.closest(".tables");
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\\s+/).filter(Boolean);
    for (const section of scope.querySelectorAll("section")) {
      const title = section.dataset.title.toLowerCase() + " ";
      let shown = 0;
      for (const row of section.querySelectorAll("tbody tr")) {
        const text = title + [...row.cells].map(cell => cell.textContent).join(" ").toLowerCase();
        row.hidden = !words.every(word => text.includes(word));
        shown += !row.hidden;
      }
      section.hidden = shown === 0;
    }
  });
}
"""

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "×": r"$\times$", "−": "$-$", "†": r"$^\dagger$", "σ": r"$\sigma$",
    "≥": r"$\geq$", "≤": r"$\leq$", "–": "--", "√": r"$\surd$", "∞": r"$\infty$",
    # LaTeX's usual font has other signs in their places
    "<": "$<$", ">": "$>$", "|": "$|$",
}  # fmt: skip


@dataclass(frozen=True)
class Section:
    """One table: its title, what must be known to read it, and its cells as text.

    `text_columns` are the places of columns that are aligned left, as names and words are.
    """

    title: str
    caption: str
    header: list[str]
    lines: list[list[str]]
    text_columns: frozenset[int] = field(default_factory=lambda: frozenset({0}))


def markdown(sections: Sequence[Section]) -> str:
    """The sections as Markdown."""
    return "\n".join(
        f"**{section.title}**: {section.caption}\n\n{_table(section, 'pipe')}\n"
        for section in sections
    )


def latex(sections: Sequence[Section]) -> str:
    """The sections as LaTeX tables for the package booktabs, each with its caption."""
    tables = []
    for section in sections:
        alignment = "".join(
            "l" if column in section.text_columns else "r" for column in range(len(section.header))
        )
        rows = [" & ".join(map(latex_text, line)) + r" \\" for line in section.lines]
        tables.append(
            "\n".join(
                [
                    r"\begin{table}",
                    r"\centering",
                    rf"\caption{{{latex_text(section.title)}: {latex_text(section.caption)}}}",
                    rf"\begin{{tabular}}{{{alignment}}}",
                    r"\toprule",
                    " & ".join(map(latex_text, section.header)) + r" \\",
                    r"\midrule",
                    *rows,
                    r"\bottomrule",
                    r"\end{tabular}",
                    r"\end{table}",
                ]
            )
        )
    return "% needs \\usepackage{booktabs}\n" + "\n\n".join(tables) + "\n"


def latex_text(text: str) -> str:
    """Text as LaTeX shows it literally, with the signs that tables use as mathematics."""
    return "".join(_LATEX.get(character, character) for character in text)


def html_sections(sections: Sequence[Section]) -> str:
    """The sections as HTML with a filter above them; `STYLE` and `SCRIPT` belong to it."""
    if not sections:
        return ""
    parts = [
        '<div class="tables">\n<p class="filter"><input type="search" '
        'placeholder="filter rows: words" aria-label="filter rows"></p>\n'
    ]
    for section in sections:
        table = _table(section, "html").replace("<table>", '<table class="data">')
        parts.append(
            f'<section data-title="{escape(section.title)}">\n<h2>{escape(section.title)}</h2>\n'
            f'<p class="caption">{escape(section.caption)}</p>\n<div class="wide">{table}</div>\n'
            "</section>\n"
        )
    return "".join(parts) + "</div>\n"


def html_page(title: str, sections: Sequence[Section]) -> str:
    """The sections as one page that needs nothing else."""
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n"
        f"{html_sections(sections)}<script>{SCRIPT}</script>\n</html>\n"
    )


def _table(section: Section, form: str) -> str:
    return tabulate(
        section.lines or [[""] * len(section.header)],
        headers=section.header,
        tablefmt=form,
        colalign=[
            "left" if column in section.text_columns else "right"
            for column in range(len(section.header))
        ],
        disable_numparse=True,
    )


def count(number: int, noun: str) -> str:
    """`1 problem`, `2 problems`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def missing_note(missing: Sequence[str]) -> str:
    """What a table's caption says of graded files that are not there; nothing where all are."""
    return f" Missing: {', '.join(missing)}." if missing else ""
