"""Every variant against the dense model, and kinds of pruning against each other.

On the same problems, repeats and budget: the difference, its interval, an exact permutation test
corrected over its family, the smallest difference that the design can detect, and a verdict. Four
families for each model: all its variants against the dense one, unstructured against structured
variants that remove as much or less (see `removals.matched`), structured variants that remove
other things and leave about the same size (see `removals.equal_sizes`), and variants whose tokens
skip sublayers against those that lack as much for all tokens (see `removals.equal_unused`).
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from workflow_scripts.tables.content.cells import Cell, cells_of
from workflow_scripts.tables.content.columns import COLUMNS, MEAN, as_frame
from workflow_scripts.tables.content.comparison_text import (
    area_sections,
    full_sections,
    short_sections,
)
from workflow_scripts.tables.content.formats import Built
from workflow_scripts.tables.content.removals import (
    Masks,
    equal_sizes,
    equal_unused,
    matched,
    ratios_of,
    read_masks,
)
from workflow_scripts.tables.content.source import Source
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
from workflow_scripts.tables.ways import Way

Row = dict[str, object]


def build(source: Source) -> Built:
    cells, reference = source.cells(), source.reference
    run = cells.attrs
    masks = read_masks(source.shared, run["models"], run["variants"])
    rows = compare(cells, reference, masks, source.ways)
    curves = areas(cells, reference)
    below = list(area_sections(curves, reference))
    return Built(
        "Comparison",
        {"comparison": rows, "areas": curves},
        [*short_sections(rows, reference, run["missing"]), *below],
        [*full_sections(rows, reference, run["missing"]), *below],
    )


def compare(
    cells: pd.DataFrame, reference: str, masks: Masks, ways: Mapping[str, Way]
) -> pd.DataFrame:
    """All comparisons, family by family; p values are corrected within each."""
    run, rows = cells.attrs, []
    found = {(c.model, c.variant, c.benchmark, c.budget): c for c in cells_of(cells)}
    for model in run["models"]:
        known = {v: masks[model, v] for v in run["variants"] if (model, v) in masks}
        families = {
            "dense": [(v, reference) for v in run["variants"] if v != reference],
            "structured": matched(known, ways),
            "size": equal_sizes(known, ways),
            "unused": equal_unused(known, ways),
        }
        for family, variants in families.items():
            pairs = [
                (found[model, one, benchmark, budget], found[model, two, benchmark, budget])
                for benchmark in run["benchmarks"]
                for one, two in variants
                for budget in sorted({key[3] for key in found if key[2] == benchmark})
                if {(model, v, benchmark, budget) for v in (one, two)} <= found.keys()
            ]
            rows += _family(f"{family} of {model}", pairs, masks)
    return as_frame("comparison", rows)


def _family(family: str, pairs: Sequence[tuple[Cell, Cell]], masks: Masks) -> Iterator[Row]:
    if not pairs:
        return
    found = [paired_difference(one.marks, two.marks) for one, two in pairs]
    corrected = holm([difference.p for difference in found])
    for (one, two), difference, p_holm in zip(pairs, found, corrected, strict=True):
        other = ratios_of(masks, two.model, two.variant)
        problems, repeats = one.correct.shape
        yield {
            "family": family,
            "model": one.model,
            "benchmark": one.benchmark,
            "budget": one.budget,
            "variant": one.variant,
            "reference": two.variant,
            "problems": problems,
            "repeats": repeats,
            "accuracy": one.marks.mean(),
            "reference_accuracy": two.marks.mean(),
            "difference": difference.difference,
            "se": difference.se,
            "ci_low": difference.low,
            "ci_high": difference.high,
            "p": difference.p,
            "p_holm": p_holm,
            "detectable": detectable(difference.se, problems, difference.repeats, len(pairs)),
            "verdict": verdict(difference, p_holm),
            **ratios_of(masks, one.model, one.variant)._asdict(),
            **{f"reference_{name}": share for name, share in other._asdict().items()},
        }


def areas(cells: pd.DataFrame, reference: str) -> pd.DataFrame:
    """The area under each variant's budget curve, and its difference to the reference's.

    Of variants that have all the run's budgets, since areas over different budgets cannot be
    compared. Where there are several benchmarks, the unweighted means of variants that have all of
    them follow.
    """
    asked = {
        benchmark: cells.attrs["budgets"] or sorted(rows["budget"].unique())
        for benchmark, rows in cells.groupby("benchmark", sort=False)
    }
    curves: dict[tuple[str, str, str], dict[int, np.ndarray]] = {}
    for cell in cells_of(cells):
        place = cell.model, cell.benchmark, cell.variant
        curves.setdefault(place, {})[cell.budget] = cell.marks
    of_answers = {
        place: answer_areas([curve[b] for b in asked[place[1]]], asked[place[1]])
        for place, curve in curves.items()
        if set(asked[place[1]]) <= set(curve)
    }
    rows = []
    for (model, benchmark, variant), found in of_answers.items():
        estimate = estimate_mean(found.mean(axis=-1))
        apart = (math.nan,) * 3
        other = of_answers.get((model, benchmark, reference))
        if variant != reference and other is not None:
            changes = found - other
            means, repeats = changes.mean(axis=-1), independent_repeats(changes)
            _, low, high = map(float, difference_intervals(means, repeats))
            apart = float(means.mean()), low, high
        budgets = len(asked[benchmark])
        rows.append((model, benchmark, variant, budgets, *vars(estimate).values(), *apart))
    frame = pd.DataFrame(rows, columns=COLUMNS["areas"])
    means = _mean_areas(frame, len(cells.attrs["benchmarks"]))
    return pd.DataFrame(rows + means, columns=COLUMNS["areas"])


def _mean_areas(rows: pd.DataFrame, benchmarks: int) -> list[tuple]:
    means = []
    for (model, variant), members in rows.groupby(["model", "variant"], sort=False):
        if len(members) < benchmarks or benchmarks == 1:
            continue
        area = mean_of_estimates(
            [Estimate(*row) for row in members[["area", "se", "ci_low", "ci_high"]].to_numpy()]
        )
        # NaN where the variant is the reference, or has no benchmark in common with it
        apart = mean_of_estimates(
            [
                Estimate(row.difference, math.nan, row.difference_low, row.difference_high)
                for row in members.itertuples()
            ]
        )
        means.append(
            (model, MEAN, variant, members["budgets"].min(), *vars(area).values(),
             apart.value, apart.low, apart.high)
        )  # fmt: skip
    return means
