"""What dynamic variants skip: asked for, after training, and while traces and answers are decoded.

Shares of one trace or answer are averaged over the repeats of a problem, and then over problems,
which are the unit. Beside them stand the accuracy and its difference to the reference, and on pages
those to static variants of which a token uses about as much, which are the comparison's. Where in
the model, and at which kinds of tokens, is counted over all traces under the largest budget.
"""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from workflow_scripts.artefacts.mask_records import DynamicRecord
from workflow_scripts.artefacts.routes import Ran, RouteRecord
from workflow_scripts.models.routing import PARTS
from workflow_scripts.models.token_kinds import TOKEN_KINDS
from workflow_scripts.tables.content.columns import as_frame
from workflow_scripts.tables.content.comparison_text import short_sections
from workflow_scripts.tables.content.formats import Built
from workflow_scripts.tables.content.removals import Masks, read_masks
from workflow_scripts.tables.content.routes_text import sections
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.statistics.intervals import student_mean

Row = dict[str, object]
Records = Mapping[tuple[str, str, str], RouteRecord]

OF = ("trace", "answer")
DIFFERENCE = {
    "difference": "difference", "difference_low": "ci_low", "difference_high": "ci_high",
    "p_holm": "p_holm", "verdict": "verdict",
}  # fmt: skip
UNKNOWN = dict.fromkeys(DIFFERENCE, math.nan) | {"verdict": ""}


def build(source: Source) -> Built:
    cells, comparison = source.cells(), source.table("comparison")
    run = cells.attrs
    masks = read_masks(source.shared, run["models"], source.dynamic)
    records = {
        (model, variant, benchmark): record
        for model in run["models"]
        for benchmark in run["benchmarks"]
        for variant, record in source.routes(model, benchmark).items()
    }
    rows = routes(cells, masks, comparison, source.reference)
    beside_static = comparison[comparison["family"].str.startswith("unused")]
    blocks, kinds = by_block(records), by_kind(records)
    return Built(
        "Routes",
        {"routes": rows, "routes_by_block": blocks, "routes_by_kind": kinds},
        [
            *sections(rows, kinds, source.reference, run["missing"]),
            *short_sections(beside_static, source.reference, run["missing"]),
        ],
    )


def routes(
    cells: pd.DataFrame, masks: Masks, comparison: pd.DataFrame, reference: str
) -> pd.DataFrame:
    """A row for every model, dynamic variant, benchmark and budget."""
    against = comparison[comparison["reference"] == reference]
    differences = against.set_index(["model", "variant", "benchmark", "budget"])
    of_variants = cells[cells["variant"].isin({variant for _, variant in masks})]
    rows: list[Row] = []
    names = ["model", "variant", "benchmark", "budget"]
    for place, answers in of_variants.groupby(names, sort=False, observed=True):
        record = masks[place[:2]].dynamic if place[:2] in masks else None
        if record is None:
            continue
        found = differences.loc[place] if place in differences.index else None
        difference = UNKNOWN if found is None else {k: found[of] for k, of in DIFFERENCE.items()}
        marks = answers["mark"] if "mark" in answers else answers["correct"]
        rows.append(
            {
                **dict(zip(names, place, strict=True)),
                "problems": answers["id"].nunique(),
                "repeats": answers["repeat"].nunique(),
                "asked": record.routing.asked,
                "validation": _known(record.skipped),
                "validation_unused": _known(record.unused),
                **_skipped(answers, record),
                "accuracy": marks.mean(),
                **difference,
            }
        )
    return as_frame("routes", rows)


def _known(share: float | None) -> float:
    return math.nan if share is None else share


def _skipped(answers: pd.DataFrame, record: DynamicRecord) -> dict[str, float]:
    """What is skipped of traces and of answers, and the weights that are not used: means over
    problems with their bounds."""
    row: dict[str, float] = {}
    for of in OF:
        columns = {f"{of}_ran_{part}": part for part in PARTS}
        ran = answers.reindex(columns=["id", *columns]).rename(columns=columns).dropna()
        skipped = 1 - ran.groupby("id").mean()
        unused = [record.unused_of(one) for one in skipped.to_dict("records")]
        # a block has one sublayer of each kind
        together = skipped.mean(axis=1)
        for what, values in skipped.assign(skipped=together, unused=unused).items():
            found = student_mean(values.to_numpy(float))
            row |= {
                f"{of}_{what}": found.value,
                f"{of}_{what}_low": found.low,
                f"{of}_{what}_high": found.high,
            }
    return row


def by_block(records: Records) -> pd.DataFrame:
    """What tokens of traces skip in each block."""
    return as_frame(
        "routes_by_block",
        (
            {**_named(place), "block": block, "tokens": ran.tokens, **_shares(ran, block)}
            for place, record in records.items()
            for ran in [record.traces]
            if ran.tokens
            for block in range(record.blocks)
        ),
    )


def by_kind(records: Records) -> pd.DataFrame:
    """What tokens of traces skip of all blocks, by what kind of text they are."""
    return as_frame(
        "routes_by_kind",
        (
            {**_named(place), "kind": kind, "tokens": ran.tokens, **_shares(ran)}
            for place, record in records.items()
            for kind in TOKEN_KINDS
            if (ran := record.kinds.get(kind))
        ),
    )


def _named(place: tuple[str, str, str]) -> Row:
    return dict(zip(("model", "variant", "benchmark"), place, strict=True))


def _shares(ran: Ran, block: int | None = None) -> Row:
    """The shares that are skipped in a block, or in all of them."""
    chosen = slice(None) if block is None else slice(block, block + 1)
    return {part: 1 - float(np.mean(getattr(ran, part)[chosen])) / ran.tokens for part in PARTS}
