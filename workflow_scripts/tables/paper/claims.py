"""Which claims of arXiv 2604.25098 hold in a run: each is asked of the run's own comparisons."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from workflow_scripts.tables.content.cells import Cells
from workflow_scripts.tables.content.removals import STEP, Removed
from workflow_scripts.tables.content.rows import ComparisonRow
from workflow_scripts.tables.paper.published import key
from workflow_scripts.tables.statistics.differences import ALPHA, BETTER, TOO_FEW, WORSE, holm
from workflow_scripts.tables.statistics.differences import paired_difference as difference

HOLDS, FAILS, OPEN, ABSENT = "holds", "does not hold", "not decided", "not in this run"
MILD = 0.2  # the largest share that the paper's unstructured variants remove
# blocks that ShortGPT removes first (paper, section 6)
SHORTGPT = {"s1.1-7B": (16, 17), "Qwen3-8B": (17, 20)}
GAIN = ("Qwen3-8B", "aime24", (1024, 2048, 4096))


@dataclass(frozen=True)
class Claim:
    """A claim, the model it is asked of, whether it holds there, and the counts behind that."""

    claim: str
    model: str
    result: str
    evidence: str


def check_claims(
    run: Cells,
    rows: Sequence[ComparisonRow],
    removals: Mapping[tuple[str, str], Removed],
    reference: str,
) -> list[Claim]:
    """Every claim for every model of the run that it is made of."""
    return [
        claim
        for model in run.models
        for claim in _of_model(
            model, run, [r for r in rows if r.model == model], removals, reference
        )
    ]


def _of_model(
    model: str,
    run: Cells,
    rows: Sequence[ComparisonRow],
    removals: Mapping[tuple[str, str], Removed],
    reference: str,
) -> Iterator[Claim]:
    dense = [row for row in rows if row.family.startswith("dense")]
    blocks = {variant for (owner, variant), r in removals.items() if owner == model and r.blocks}
    structured = [row for row in dense if row.variant in blocks]
    mild = [row for row in dense if row.variant not in blocks and row.removed <= MILD + STEP]
    matched = [row for row in rows if row.family.startswith("structured")]
    yield _growth(model, run, reference)
    yield _judged("removing whole blocks costs accuracy", model, structured, WORSE, BETTER)
    yield _judged(
        "unstructured pruning is better than removing blocks with as many weights",
        model, matched, BETTER, WORSE,
    )  # fmt: skip
    yield _unharmed(model, mild)
    yield _judged(
        f"unstructured pruning of up to {MILD:.0%} is better than {reference} somewhere",
        model, mild, BETTER, None,
    )  # fmt: skip
    name, benchmark, budgets = GAIN
    if _is_same(model, name):
        gains = [
            row for row in mild
            if row.budget in budgets
            and key("", "", row.benchmark, 0) == key("", "", benchmark, 0)
        ]  # fmt: skip
        claim = f"such a gain on {benchmark} with budgets of 1024 to 4096"
        yield _judged(claim, model, gains, BETTER, None)
    yield from _removed_blocks(model, removals)


def _growth(model: str, run: Cells, reference: str) -> Claim:
    """Whether the dense model is better under its largest budget than under its smallest."""
    claim = f"{reference} is better with its largest budget than with its smallest"
    p_values, gains = [], []
    for benchmark in run.benchmarks:
        cells = [
            c for c in run.cells
            if (c.model, c.variant, c.benchmark) == (model, reference, benchmark)
        ]  # fmt: skip
        if len(cells) > 1:
            ends = sorted(cells, key=lambda cell: cell.budget)
            found = difference(ends[-1].matrix, ends[0].matrix)
            p_values.append(found.p)
            gains.append(found.difference)
    if not gains:
        return Claim(claim, model, ABSENT, "")
    sure = [g for g, p in zip(gains, holm(p_values), strict=True) if p < ALPHA]
    up, down = sum(g > 0 for g in sure), sum(g < 0 for g in sure)
    result = FAILS if down else HOLDS if up else OPEN
    return Claim(claim, model, result, f"{up} of {len(gains)} benchmarks better, {down} worse")


def _judged(
    claim: str, model: str, rows: Sequence[ComparisonRow], wanted: str, unwanted: str | None
) -> Claim:
    """It holds where a verdict says so and none says the opposite."""
    if not rows:
        return Claim(claim, model, ABSENT, "")
    counts = Counter(row.verdict for row in rows)
    if counts[wanted] and not counts[unwanted]:
        result = HOLDS
    elif counts[unwanted]:
        result = FAILS
    else:
        # nothing found: an answer only where the comparisons could have found something
        result = OPEN if counts[TOO_FEW] or unwanted else FAILS
    return Claim(claim, model, result, _counts(rows))


def _unharmed(model: str, rows: Sequence[ComparisonRow]) -> Claim:
    """It fails with one `worse`, and is open where a loss that matters is not ruled out."""
    claim = f"unstructured pruning of up to {MILD:.0%} costs no accuracy"
    if not rows:
        return Claim(claim, model, ABSENT, "")
    verdicts = {row.verdict for row in rows}
    result = FAILS if WORSE in verdicts else OPEN if TOO_FEW in verdicts else HOLDS
    return Claim(claim, model, result, _counts(rows))


def _counts(rows: Sequence[ComparisonRow]) -> str:
    counts = Counter(row.verdict for row in rows)
    same = len(rows) - counts[BETTER] - counts[WORSE] - counts[TOO_FEW]
    return (
        f"of {len(rows)} comparisons {counts[BETTER]} better, {counts[WORSE]} worse, "
        f"{same} no relevant difference, {counts[TOO_FEW]} too few samples"
    )


def _removed_blocks(model: str, removals: Mapping[tuple[str, str], Removed]) -> Iterator[Claim]:
    for name, blocks in SHORTGPT.items():
        if not _is_same(model, name):
            continue
        claim = f"ShortGPT removes blocks {blocks[0]} and {blocks[1]}"
        taken = [
            removed.blocks
            for (owner, _), removed in removals.items()
            if owner == model and removed.method == "shortgpt" and len(removed.blocks) == 2
        ]
        if not taken:
            yield Claim(claim, model, ABSENT, "")
            continue
        said = "; ".join("removed " + ", ".join(map(str, blocks_of)) for blocks_of in taken)
        same = all(tuple(sorted(blocks_of)) == blocks for blocks_of in taken)
        yield Claim(claim, model, HOLDS if same else FAILS, said)


def _is_same(model: str, published: str) -> bool:
    return key(model, "", "", 0) == key(published, "", "", 0)
