"""The paper's tables for this run, beside the published values, and which of its claims hold.

    python -m workflow_scripts.tables.published_table --cells results/tables/cells.jsonl \
        --comparison results/tables/comparison.csv --results results --reference dense \
        --csv results/tables/published.csv --claims results/tables/claims.csv \
        --markdown results/tables/published.md --latex results/tables/published.tex \
        --html results/tables/published.html

Mean ± population standard deviation over repeats, which stand in for the paper's seeds. Published
rows are found by name: model `s1.1-7B`, variant `wanda-owl-20`, benchmark `aime24` and so on; case,
`-`, `_` and `.` do not matter, and `wanda-uniform-20` is `wanda-20`.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.files.atomic import write_text
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.content.cell_files import load_cells
from workflow_scripts.tables.content.cells import Cell
from workflow_scripts.tables.content.comparison_text import signed
from workflow_scripts.tables.content.formats import (
    Section,
    html_page,
    latex,
    markdown,
    missing_note,
)
from workflow_scripts.tables.content.removals import read_removed
from workflow_scripts.tables.content.rows import ComparisonRow, csv_text, read_rows
from workflow_scripts.tables.paper.claims import Claim, check_claims
from workflow_scripts.tables.paper.published import FOLDER, Published, key, read_published
from workflow_scripts.tables.statistics.seeds import mean_and_sd, sampling_error

PublishedKey = tuple[str, str, str, int]


@dataclass(frozen=True)
class PublishedRow:
    """One row of published.csv; what was not published is NaN, its origin empty.

    `errors` is the difference to the published mean in units of `combined_error`, the root of the
    sum of both means' squared standard errors for fixed problems.
    """

    model: str
    variant: str
    benchmark: str
    budget: int
    repeats: int
    mean: float
    sd: float
    published_mean: float
    published_sd: float
    origin: str
    difference: float
    combined_error: float
    errors: float


def row_of_cell(
    cell: Cell, published: Mapping[tuple[str, str, str, int], Published]
) -> PublishedRow:
    """A cell in the paper's form, with its published counterpart where there is one."""
    correct = cell.matrix
    mean, sd = mean_and_sd(correct.mean(axis=0))
    one = published.get(key(cell.model, cell.variant, cell.benchmark, cell.budget))
    names = (cell.model, cell.variant, cell.benchmark, cell.budget, len(cell.repeats), mean, sd)
    if one is None:
        return PublishedRow(*names, math.nan, math.nan, "", math.nan, math.nan, math.nan)
    difference, error = mean - one.mean, math.hypot(sampling_error(correct), one.error)
    return PublishedRow(*names, one.mean, one.sd, one.origin, difference, error, difference / error)


def sections(rows: Sequence[PublishedRow], missing: Sequence[str] = ()) -> list[Section]:
    """A table for every budget, as the paper has them: models and variants down, benchmarks
    across; beside each benchmark of which anything was published the published value."""
    benchmarks = list(dict.fromkeys(row.benchmark for row in rows))
    known = {row.benchmark for row in rows if row.origin}
    header = ["model", "variant"]
    for benchmark in benchmarks:
        header += [benchmark, "published", "σ"] if benchmark in known else [benchmark]
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
    made = []
    for budget in sorted({row.budget for row in rows}):
        cells = {(r.model, r.variant, r.benchmark): r for r in rows if r.budget == budget}
        lines = []
        for model, variant in dict.fromkeys((m, v) for m, v, _ in cells):
            line = [model, variant]
            for benchmark in benchmarks:
                line += _texts(cells.get((model, variant, benchmark)), benchmark in known)
            lines.append(line)
        made.append(
            Section(f"budget {budget}", caption, header, lines, text_columns=frozenset({0, 1}))
        )
    return made


def _texts(row: PublishedRow | None, known: bool) -> list[str]:
    here = "" if row is None else f"{row.mean:.4f} ± {row.sd:.4f}"
    if not known:
        return [here]
    if row is None or not row.origin:
        return [here, "", ""]
    sd = f" ± {row.published_sd:.4f}" if math.isfinite(row.published_sd) else ""
    errors = signed(row.errors, 1) if math.isfinite(row.errors) else ""
    return [here, f"{row.published_mean:.4f}{sd} {row.origin[0]}", errors]


def claim_section(claims: Sequence[Claim]) -> Section:
    """The claims as a table."""
    return Section(
        title="claims of arXiv 2604.25098 in this run",
        caption=(
            "a claim holds where a verdict of the comparison table says so and none says the "
            "opposite."
        ),
        header=["claim", "model", "result", "evidence"],
        lines=[[one.claim, one.model, one.result, one.evidence] for one in claims],
        text_columns=frozenset(range(4)),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", required=True, type=Path, help="what collect_cells wrote")
    parser.add_argument("--comparison", required=True, type=Path, help="comparison.csv")
    parser.add_argument("--results", required=True, type=Path, help="folder of the masks")
    parser.add_argument(
        "--published", default=FOLDER, type=Path, help="folder of published numbers"
    )
    parser.add_argument("--reference", default="dense", help="the variant without pruning")
    for name in ("csv", "claims", "markdown", "latex", "html"):
        parser.add_argument(f"--{name}", required=True, type=Path, help="table to write")
    options = parser.parse_args(arguments)
    run = load_cells(options.cells)
    published = read_published(options.published)
    rows = [row_of_cell(cell, published) for cell in run.cells]
    removals = read_removed(options.results, run.models, run.variants)
    comparisons = read_rows(options.comparison, ComparisonRow)
    claims = check_claims(run, comparisons, removals, options.reference)
    tables = [claim_section(claims), *sections(rows, run.missing)]
    write_text(options.csv, csv_text(rows, PublishedRow))
    write_text(options.claims, csv_text(claims, Claim))
    write_text(options.markdown, markdown(tables))
    write_text(options.latex, latex(tables))
    write_text(options.html, html_page("Beside the published values", tables))


if __name__ == "__main__":
    run_stage(main)
