"""The paper's tables for this run, beside the published values, and which of its claims hold.

Mean ± population standard deviation over repeats, which stand in for the paper's seeds. Published
rows are found by name: model `s1.1-7B`, variant `wanda-owl-20`, benchmark `aime24` and so on; case,
`-`, `_` and `.` do not matter, and `wanda-uniform-20` is `wanda-20`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from workflow_scripts.tables.content.cells import Cell, cells_of
from workflow_scripts.tables.content.columns import as_frame
from workflow_scripts.tables.content.formats import Built, Section, missing_note, signed
from workflow_scripts.tables.content.removals import read_masks
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.paper.published import (
    BENCHMARKS,
    Key,
    Published,
    key,
    read_published,
)
from workflow_scripts.tables.statistics.seeds import mean_and_sd, sampling_error


def build(source: Source) -> Built:
    # the report, which only shows claims, does without what testing them takes
    from workflow_scripts.tables.paper.claims import check_claims

    cells, published = source.cells(), read_published()
    run = cells.attrs
    rows = as_frame("published", (row_of_cell(cell, published) for cell in cells_of(cells)))
    masks = read_masks(source.shared, run["models"], run["variants"])
    comparison = source.table("comparison")
    claims = check_claims(cells, comparison, masks, source.ways, source.reference)
    return Built(
        "Beside the published values",
        {"published": rows, "claims": claims},
        [claim_section(claims), *sections(rows, run["missing"])],
    )


def row_of_cell(cell: Cell, published: Mapping[Key, Published]) -> dict[str, object]:
    """A cell in the paper's form, with its published counterpart where there is one."""
    mean, sd = mean_and_sd(cell.marks.mean(axis=0))
    row = {**vars(cell), "repeats": cell.correct.shape[1], "mean": mean, "sd": sd}
    row |= {"origin": "", "place": "", "line": 0, "doubtful": ""}
    one = published.get(key(cell.model, cell.variant, cell.benchmark, cell.budget))
    if one is None:
        return row
    error = math.hypot(sampling_error(cell.marks), one.error)
    return row | {
        "published_mean": one.mean,
        "published_sd": one.sd,
        "origin": one.origin,
        "place": one.place,
        "line": one.line,
        "doubtful": "yes" if one.doubtful else "",
        "difference": mean - one.mean,
        "combined_error": error,
        "errors": (mean - one.mean) / error,
    }


def sections(rows: pd.DataFrame, missing: Sequence[str] = ()) -> Iterator[Section]:
    """The paper's tables and figures as far as the run has them, then what it has beside them.

    One table for each place in the paper and budget, with its order of rows and benchmarks; models
    and variants down, benchmarks across.
    """
    note = missing_note(missing)
    published = rows[rows["place"] != ""]
    places = published[["place", "budget"]].drop_duplicates().to_numpy().tolist()
    for place, budget in sorted(places, key=lambda at: (_numbered(at[0]), at[1])):
        members = published[(published["place"] == place) & (published["budget"] == budget)]
        caption = _CAPTION + _PUBLISHED + note
        comma = ", " if ":" in place else ": "
        yield _section(f"{place}{comma}budget {budget}", caption, members.sort_values("line"))
    others = rows[rows["place"] == ""]
    for budget, members in others.groupby("budget"):
        nothing = " Nothing was published about these." + note
        title = f"not in the paper: budget {budget}" if places else f"budget {budget}"
        yield _section(title, _CAPTION + nothing, members)


_CAPTION = "accuracy, mean ± population standard deviation over repeats."
_PUBLISHED = (
    " Published: arXiv 2604.25098; e: exact, from a table; d: digitised, read off a figure; ?: "
    "probably a slip there, since another cell has the same mean or deviation. σ: difference in "
    "units of the combined standard error of both means on fixed problems."
)


def _numbered(place: str) -> tuple[bool, int]:
    """Tables before figures, by their numbers."""
    kind, number = place.partition(":")[0].split()
    return kind != "table", int(number)


def _section(title: str, caption: str, rows: pd.DataFrame) -> Section:
    is_published = bool(rows["place"].iloc[0])
    texts = {(row.model, row.variant, row.benchmark): _texts(row) for row in rows.itertuples()}
    benchmarks = list(rows["benchmark"].unique())
    if is_published:
        order = [key("", "", name, 0) for name in BENCHMARKS.values()]
        benchmarks.sort(key=lambda name: order.index(key("", "", name, 0)))
    header = ["model", "variant"]
    for name in benchmarks:
        header += [name, "published", "σ"] if is_published else [name]
    lines = []
    for place in dict.fromkeys((model, variant) for model, variant, _ in texts):
        lines.append([*place])
        for name in benchmarks:
            found = texts.get((*place, name), ["", "", ""])
            lines[-1] += found if is_published else found[:1]
    return Section(title, caption, pd.DataFrame(lines, columns=header), frozenset({"variant"}))


def _texts(row: Any) -> list[str]:
    here = f"{row.mean:.4f} ± {row.sd:.4f}"
    if not row.origin:
        return [here, "", ""]
    # no figure can be read to four digits
    exact = row.origin == "exact"
    there = f"{row.published_mean:.4f}" if exact else f"{row.published_mean:.2f}"
    sd = f" ± {row.published_sd:.4f}" if math.isfinite(row.published_sd) else ""
    doubt = "?" if row.doubtful else ""
    errors = signed(row.errors, 1) if math.isfinite(row.errors) else ""
    return [here, f"{there}{sd} {row.origin[0]}{doubt}", errors]


def claim_section(claims: pd.DataFrame) -> Section:
    """The claims as a table."""
    return Section(
        "claims of arXiv 2604.25098 in this run",
        "a claim about accuracies holds where a verdict of the comparison table says so and none "
        "says the opposite, one about blocks where every mask agrees.",
        claims,
        frozenset(claims.columns),
    )
