"""Which claims of arXiv 2604.25098 hold in a run: each is asked of the run's own comparisons."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
import pandas as pd

from workflow_scripts.artefacts.mask_records import MaskRecord
from workflow_scripts.tables.content.cells import cells_of
from workflow_scripts.tables.content.removals import STEP, Masks
from workflow_scripts.tables.paper.blocks import (
    ABSENT,
    FAILS,
    HOLDS,
    OPEN,
    Asked,
    block_claims,
    is_same_model,
)
from workflow_scripts.tables.paper.published import key
from workflow_scripts.tables.statistics.differences import holm
from workflow_scripts.tables.statistics.differences import paired_difference as difference
from workflow_scripts.tables.statistics.verdicts import ALPHA, BETTER, INCONCLUSIVE, WORSE
from workflow_scripts.tables.ways import Way

MILD = 0.2  # the largest share that the paper's unstructured variants remove
GAIN = ("Qwen3-8B", "aime24", (1024, 2048, 4096))


def check_claims(
    cells: pd.DataFrame,
    comparison: pd.DataFrame,
    masks: Masks,
    ways: Mapping[str, Way],
    reference: str,
) -> pd.DataFrame:
    """Every claim for every model of the run that it is made of."""
    found = []
    for model in cells.attrs["models"]:
        rows = comparison[comparison["model"] == model]
        removed = {variant: mask for (owner, variant), mask in masks.items() if owner == model}
        of_model = cells[cells["model"] == model]
        for claim, result, evidence in _of_model(model, of_model, rows, removed, ways, reference):
            found.append((claim, model, result, evidence))
    return pd.DataFrame(found, columns=["claim", "model", "result", "evidence"])


def _of_model(
    model: str,
    cells: pd.DataFrame,
    rows: pd.DataFrame,
    masks: Mapping[str, MaskRecord],
    ways: Mapping[str, Way],
    reference: str,
) -> Iterator[Asked]:
    of = {
        family: [v for v, way in ways.items() if way.family == family and not way.recovery]
        for family in ("unstructured", "depth")
    }
    dense = rows[rows["family"].str.startswith("dense")]
    matched = rows[rows["family"].str.startswith("structured")]
    matched = matched[matched["reference"].isin(of["depth"])]
    unstructured = dense["variant"].isin(of["unstructured"])
    mild = dense[unstructured & (dense["removed"] <= MILD + STEP)]
    without_blocks = dense[dense["variant"].isin(of["depth"])]
    yield _growth(cells, reference)
    yield _judged("removing whole blocks costs accuracy", without_blocks, WORSE, BETTER)
    yield _judged(
        "unstructured pruning is better than removing blocks with as many weights",
        matched, BETTER, WORSE,
    )  # fmt: skip
    yield _unharmed(mild)
    yield _judged(
        f"unstructured pruning of up to {MILD:.0%} is better than {reference} somewhere",
        mild, BETTER, None,
    )  # fmt: skip
    name, benchmark, budgets = GAIN
    if is_same_model(model, name):
        wanted = key("", "", benchmark, 0)
        is_it = np.array([key("", "", name, 0) == wanted for name in mild["benchmark"]], dtype=bool)
        gains = mild[is_it & mild["budget"].isin(budgets)]
        claim = f"such a gain on {benchmark} with budgets of 1024 to 4096"
        yield _judged(claim, gains, BETTER, None)
    yield from block_claims(model, masks)


def _growth(cells: pd.DataFrame, reference: str) -> Asked:
    """Whether the dense model is better under its largest budget than under its smallest."""
    claim = f"{reference} is better with its largest budget than with its smallest"
    p_values, gains = [], []
    for _, of_benchmark in cells[cells["variant"] == reference].groupby("benchmark", sort=False):
        ends = of_benchmark["budget"].agg(["min", "max"])
        found = list(cells_of(of_benchmark[of_benchmark["budget"].isin(ends)]))
        for smallest, largest in pairwise(found):
            grown = difference(largest.marks, smallest.marks)
            p_values.append(grown.p)
            gains.append(grown.difference)
    if not gains:
        return claim, ABSENT, ""
    sure = [g for g, p in zip(gains, holm(p_values), strict=True) if p < ALPHA]
    up, down = sum(g > 0 for g in sure), sum(g < 0 for g in sure)
    result = FAILS if down else HOLDS if up else OPEN
    return claim, result, f"{up} of {len(gains)} benchmarks better, {down} worse"


def _judged(claim: str, rows: pd.DataFrame, wanted: str, unwanted: str | None) -> Asked:
    """It holds where a verdict says so and none says the opposite."""
    if rows.empty:
        return claim, ABSENT, ""
    verdicts = set(rows["verdict"])
    if unwanted in verdicts:
        result = FAILS
    elif wanted in verdicts:
        result = HOLDS
    else:
        # nothing found: an answer only where the comparisons could have found something
        result = OPEN if INCONCLUSIVE in verdicts or unwanted else FAILS
    return claim, result, _counts(rows)


def _unharmed(rows: pd.DataFrame) -> Asked:
    """It fails with one `worse`, and is open where a loss that matters is not ruled out."""
    claim = f"unstructured pruning of up to {MILD:.0%} costs no accuracy"
    if rows.empty:
        return claim, ABSENT, ""
    verdicts = set(rows["verdict"])
    result = FAILS if WORSE in verdicts else OPEN if INCONCLUSIVE in verdicts else HOLDS
    return claim, result, _counts(rows)


def _counts(rows: pd.DataFrame) -> str:
    better, worse, few = ((rows["verdict"] == word).sum() for word in (BETTER, WORSE, INCONCLUSIVE))
    return (
        f"of {len(rows)} comparisons {better} better, {worse} worse, "
        f"{len(rows) - better - worse - few} no relevant difference, {few} inconclusive"
    )
