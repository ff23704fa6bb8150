"""Every variant against the dense model, and unstructured against structured pruning.

    python -m workflow_scripts.tables.comparison_table --cells results/tables/cells.jsonl \
        --results results --reference dense --csv results/tables/comparison.csv \
        --areas results/tables/areas.csv --markdown results/tables/comparison.md \
        --latex results/tables/comparison.tex --html results/tables/comparison.html

On the same problems, repeats and budget: the difference, its interval, an exact permutation test
corrected over its family, the smallest difference that the design can detect, and a verdict. Two
families for each model: all its variants against the dense one, and unstructured against structured
variants that remove as much or less (see `removals.matched`).
"""

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from workflow_scripts.files.atomic import write_text
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.tables.content.cell_files import load_cells
from workflow_scripts.tables.content.cells import Cell, Cells
from workflow_scripts.tables.content.comparison_text import full_sections, short_sections
from workflow_scripts.tables.content.formats import html_page, latex, markdown
from workflow_scripts.tables.content.removals import Removed, matched, read_removed
from workflow_scripts.tables.content.rows import MEAN, AreaRow, ComparisonRow, csv_text
from workflow_scripts.tables.statistics.areas import answer_areas
from workflow_scripts.tables.statistics.differences import (
    detectable,
    difference_intervals,
    holm,
    independent_repeats,
    paired_difference,
    verdict,
)
from workflow_scripts.tables.statistics.intervals import Estimate, estimate_mean, mean_of_estimates

Removals = Mapping[tuple[str, str], Removed]


def compare(run: Cells, reference: str, removals: Removals) -> list[ComparisonRow]:
    """All comparisons, family by family; p values are corrected within each."""
    rows = []
    for model in run.models:
        known = {v: removals[model, v] for v in run.variants if (model, v) in removals}
        families = {
            "dense": [(v, reference) for v in run.variants if v != reference],
            "structured": matched(known),
        }
        for family, pairs in families.items():
            found = list(_cell_pairs(run, model, pairs))
            rows += _family(f"{family} of {model}", found, removals)
    return rows


def _cell_pairs(
    run: Cells, model: str, pairs: Sequence[tuple[str, str]]
) -> Iterator[tuple[Cell, Cell]]:
    cells = {(c.variant, c.benchmark, c.budget): c for c in run.cells if c.model == model}
    for benchmark in run.benchmarks:
        budgets = sorted({budget for _, name, budget in cells if name == benchmark})
        for variant, other in pairs:
            for budget in budgets:
                one, two = (cells.get((v, benchmark, budget)) for v in (variant, other))
                if one is not None and two is not None:
                    yield one, two


def _family(
    family: str, pairs: Sequence[tuple[Cell, Cell]], removals: Removals
) -> list[ComparisonRow]:
    if not pairs:
        return []
    found = [paired_difference(one.matrix, two.matrix) for one, two in pairs]
    corrected = holm([difference.p for difference in found])
    rows = []
    for (one, two), difference, p_holm in zip(pairs, found, corrected, strict=True):
        shares = [
            removals[c.model, c.variant].share if (c.model, c.variant) in removals else math.nan
            for c in (one, two)
        ]
        problems, repeats = len(one.correct), len(one.repeats)
        rows.append(
            ComparisonRow(
                family=family,
                model=one.model,
                benchmark=one.benchmark,
                budget=one.budget,
                variant=one.variant,
                removed=shares[0],
                reference=two.variant,
                reference_removed=shares[1],
                problems=problems,
                repeats=repeats,
                accuracy=float(one.matrix.mean()),
                reference_accuracy=float(two.matrix.mean()),
                difference=difference.difference,
                se=difference.se,
                ci_low=difference.low,
                ci_high=difference.high,
                p=difference.p,
                p_holm=p_holm,
                detectable=detectable(difference.se, problems, difference.repeats, len(pairs)),
                verdict=verdict(difference, p_holm),
            )
        )
    return rows


def areas(run: Cells, reference: str) -> list[AreaRow]:
    """The area under each variant's budget curve, and its difference to the reference's.

    Of variants that have all the run's budgets, since areas over different budgets cannot be
    compared. Where there are several benchmarks, the unweighted means of variants that have all of
    them follow.
    """
    curves: dict[tuple[str, str, str], dict[int, Cell]] = {}
    for cell in run.cells:
        curves.setdefault((cell.model, cell.benchmark, cell.variant), {})[cell.budget] = cell
    asked = {
        benchmark: run.budgets or sorted({c.budget for c in run.cells if c.benchmark == benchmark})
        for benchmark in run.benchmarks
    }
    areas_of = {
        place: answer_areas([curve[b].matrix for b in asked[place[1]]], asked[place[1]])
        for place, curve in curves.items()
        if set(asked[place[1]]) <= set(curve)
    }
    rows = []
    for (model, benchmark, variant), of_answers in areas_of.items():
        estimate = estimate_mean(of_answers.mean(axis=-1))
        difference = low = high = math.nan
        other = areas_of.get((model, benchmark, reference))
        if variant != reference and other is not None:
            changes = of_answers - other
            means, repeats = changes.mean(axis=-1), independent_repeats(changes)
            _, low, high = map(float, difference_intervals(means, repeats))
            difference = float(means.mean())
        rows.append(
            AreaRow(
                model, benchmark, variant, len(asked[benchmark]),
                estimate.accuracy, estimate.se, estimate.low, estimate.high,
                difference, low, high,
            )
        )  # fmt: skip
    return rows + _mean_areas(rows, run.benchmarks)


def _mean_areas(rows: Sequence[AreaRow], benchmarks: Sequence[str]) -> list[AreaRow]:
    groups: dict[tuple[str, str], list[AreaRow]] = {}
    for row in rows:
        groups.setdefault((row.model, row.variant), []).append(row)
    means = []
    for (model, variant), members in groups.items():
        if len(benchmarks) == 1 or len(members) < len(benchmarks):
            continue
        area = mean_of_estimates([Estimate(r.area, r.se, r.ci_low, r.ci_high) for r in members])
        # NaN where the variant is the reference, or has no benchmark in common with it
        apart = mean_of_estimates(
            [Estimate(r.difference, math.nan, r.difference_low, r.difference_high) for r in members]
        )
        means.append(
            AreaRow(
                model, MEAN, variant, min(row.budgets for row in members),
                area.accuracy, area.se, area.low, area.high,
                apart.accuracy, apart.low, apart.high,
            )
        )  # fmt: skip
    return means


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", required=True, type=Path, help="what collect_cells wrote")
    parser.add_argument("--results", required=True, type=Path, help="folder of the masks")
    parser.add_argument("--reference", default="dense", help="the variant without pruning")
    for name in ("csv", "areas", "markdown", "latex", "html"):
        parser.add_argument(f"--{name}", required=True, type=Path, help="table to write")
    options = parser.parse_args(arguments)
    run = load_cells(options.cells)
    removals = read_removed(options.results, run.models, run.variants)
    rows = compare(run, options.reference, removals)
    curves = areas(run, options.reference)
    short = short_sections(rows, curves, options.reference, run.missing)
    write_text(options.csv, csv_text(rows, ComparisonRow))
    write_text(options.areas, csv_text(curves, AreaRow))
    write_text(options.markdown, markdown(short))
    write_text(options.latex, latex(short))
    full = full_sections(rows, curves, options.reference, run.missing)
    write_text(options.html, html_page("Comparison", full))


if __name__ == "__main__":
    run_stage(main)
