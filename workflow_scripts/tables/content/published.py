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
from workflow_scripts.tables.paper.claims import check_claims
from workflow_scripts.tables.paper.published import Key, Published, key, read_published
from workflow_scripts.tables.statistics.seeds import mean_and_sd, sampling_error


def build(source: Source) -> Built:
    cells, published = source.cells(), read_published()
    run = cells.attrs
    rows = as_frame("published", (row_of_cell(cell, published) for cell in cells_of(cells)))
    masks = read_masks(source.results, run["models"], run["variants"])
    claims = check_claims(cells, source.table("comparison"), masks, source.reference)
    return Built(
        "Beside the published values",
        {"published": rows, "claims": claims},
        [claim_section(claims), *sections(rows, run["missing"])],
    )


def row_of_cell(cell: Cell, published: Mapping[Key, Published]) -> dict[str, object]:
    """A cell in the paper's form, with its published counterpart where there is one."""
    mean, sd = mean_and_sd(cell.correct.mean(axis=0))
    row = {**vars(cell), "repeats": cell.correct.shape[1], "mean": mean, "sd": sd, "origin": ""}
    one = published.get(key(cell.model, cell.variant, cell.benchmark, cell.budget))
    if one is None:
        return row
    error = math.hypot(sampling_error(cell.correct), one.error)
    return row | {
        "published_mean": one.mean,
        "published_sd": one.sd,
        "origin": one.origin,
        "difference": mean - one.mean,
        "combined_error": error,
        "errors": (mean - one.mean) / error,
    }


def sections(rows: pd.DataFrame, missing: Sequence[str] = ()) -> Iterator[Section]:
    """A table for every budget, as the paper has them: models and variants down, benchmarks
    across; beside each benchmark of which anything was published the published value."""
    known = set(rows.loc[rows["origin"] != "", "benchmark"])
    caption = (
        "accuracy, mean ± population standard deviation over repeats."
        + (
            " Published: arXiv 2604.25098; e: exact, from a table; d: digitised, from a figure. σ: "
            "difference in units of the combined standard error of both means on fixed problems."
            if known
            else " Nothing that was published is about these models, variants and benchmarks."
        )
        + missing_note(missing)
    )
    benchmarks = rows["benchmark"].unique()
    header = ["model", "variant"]
    for benchmark in benchmarks:
        header += [benchmark, "published", "σ"] if benchmark in known else [benchmark]
    for budget, members in rows.groupby("budget"):
        texts = {
            (row.model, row.variant, row.benchmark): _texts(row) for row in members.itertuples()
        }
        lines = []
        for place in dict.fromkeys((model, variant) for model, variant, _ in texts):
            lines.append([*place])
            for benchmark in benchmarks:
                found = texts.get((*place, benchmark), ["", "", ""])
                lines[-1] += found if benchmark in known else found[:1]
        frame = pd.DataFrame(lines, columns=header)
        yield Section(f"budget {budget}", caption, frame, frozenset({"variant"}))


def _texts(row: Any) -> list[str]:
    here = f"{row.mean:.4f} ± {row.sd:.4f}"
    if not row.origin:
        return [here, "", ""]
    sd = f" ± {row.published_sd:.4f}" if math.isfinite(row.published_sd) else ""
    errors = signed(row.errors, 1) if math.isfinite(row.errors) else ""
    return [here, f"{row.published_mean:.4f}{sd} {row.origin[0]}", errors]


def claim_section(claims: pd.DataFrame) -> Section:
    """The claims as a table."""
    return Section(
        "claims of arXiv 2604.25098 in this run",
        "a claim holds where a verdict of the comparison table says so and none says the opposite.",
        claims,
        frozenset(claims.columns),
    )
