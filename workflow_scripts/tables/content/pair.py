"""What pruning costs two models of one base: the one that answers at once, the one that thinks.

Both answer the same problems under the same budgets, so that their losses are compared problem by
problem: the interaction is how much more the one that thinks loses. Below the variants stand means
over those that remove something, without training after it and with, and over dynamic ones.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_scripts.tables.content.cells import cells_of
from workflow_scripts.tables.content.columns import as_frame
from workflow_scripts.tables.content.formats import Built
from workflow_scripts.tables.content.pair_text import full_sections, short_sections
from workflow_scripts.tables.content.removals import Masks, ratios_of, read_masks
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.statistics.differences import (
    difference_intervals,
    difference_of_differences,
    holm,
    independent_repeats,
)
from workflow_scripts.tables.statistics.ratios import (
    difference_of_ratios,
    error_correlation,
    relative_losses,
)
from workflow_scripts.tables.statistics.verdicts import (
    ALPHA,
    LOSES_LESS,
    LOSES_MORE,
    MEAN_DYNAMIC,
    MEAN_PRUNED,
    MEAN_RECOVERED,
    NOT_SHOWN,
)
from workflow_scripts.tables.ways import Way

Row = dict[str, object]
Answers = Mapping[str, NDArray]  # by `instruct` and `think`: shape (problems, repeats)

KINDS = ("instruct", "think")
# which variants a mean is over
MEANS_OF: Mapping[str, Callable[[Way], bool]] = {
    MEAN_PRUNED: lambda way: way.removes and not way.recovery,
    MEAN_RECOVERED: lambda way: way.removes and bool(way.recovery),
    MEAN_DYNAMIC: lambda way: way.is_dynamic,
}


def build(source: Source) -> Built:
    cells, pair = source.cells(), source.pair
    masks = read_masks(source.shared, [*pair.values()], cells.attrs["variants"])
    rows = compare(cells, pair, source.reference, masks, source.ways)
    missing = cells.attrs["missing"]
    return Built(
        "Instruct and think",
        {"pair": rows},
        [*short_sections(rows, missing)],
        [*full_sections(rows, missing)],
    )


def compare(
    cells: pd.DataFrame,
    pair: Mapping[str, str],
    reference: str,
    masks: Masks,
    ways: Mapping[str, Way],
) -> pd.DataFrame:
    """A row for every benchmark, budget and variant that both models have, and for means.

    p values are corrected over all variants' rows, and over all means'.
    """
    found = {(c.model, c.benchmark, c.budget, c.variant): c.marks for c in cells_of(cells)}
    of_variants: list[Row] = []
    of_means: list[Row] = []
    order = cells.attrs["benchmarks"].index
    places = {(benchmark, budget) for _, benchmark, budget, _ in found}
    places = sorted(places, key=lambda place: (order(place[0]), place[1]))
    for place in places:
        by_variant = {
            variant: {kind: found[model, *place, variant] for kind, model in pair.items()}
            for variant in cells.attrs["variants"]
            if all((model, *place, variant) in found for model in pair.values())
        }
        dense = by_variant.pop(reference, None)
        if dense is None:
            continue
        at = {"benchmark": place[0], "budget": place[1], **pair}
        for variant, answers in by_variant.items():
            of_variants.append({**at, "variant": variant, **_row(dense, [answers])})
            for kind, model in pair.items():
                shares = ratios_of(masks, model, variant)
                of_variants[-1] |= {
                    f"{kind}_removed": shares.removed,
                    f"{kind}_removed_of_all": shares.removed_of_all,
                    f"{kind}_unused": shares.unused,
                }
        for name, is_member in MEANS_OF.items():
            members = [answers for v, answers in by_variant.items() if is_member(ways[v])]
            if len(members) > 1:
                of_means.append({**at, "variant": name, **_row(dense, members)})
    rows = [*_judged(of_variants), *_judged(of_means)]
    rows.sort(key=lambda row: places.index((row["benchmark"], row["budget"])))
    return as_frame("pair", rows)


def _row(dense: Answers, variants: Sequence[Answers]) -> Row:
    """What a variant costs both models, or several on average.

    Several variants' answers count as more repeats of their problems: the more alike they are, the
    less one tells beside the others.
    """
    losses = {
        kind: np.concatenate([dense[kind].astype(float) - one[kind] for one in variants], axis=1)
        for kind in KINDS
    }
    interaction = difference_of_differences(losses["think"] - losses["instruct"])
    problems, repeats = dense["think"].shape
    row: Row = {
        "problems": problems,
        "repeats": repeats,
        "interaction": interaction.difference,
        "se": interaction.se,
        "ci_low": interaction.low,
        "ci_high": interaction.high,
        "p": interaction.p,
    }
    ratios = {}
    for kind in KINDS:
        row[f"{kind}_dense"] = dense[kind].mean()
        row |= _named(f"{kind}_loss", loss_interval(losses[kind]))
        ratios[kind] = relative_losses(losses[kind], dense[kind])
        row |= _named(f"{kind}_relative", map(float, ratios[kind]))
    correlation = error_correlation(
        *((losses[kind].mean(axis=-1), dense[kind].mean(axis=-1)) for kind in ("think", "instruct"))
    )
    apart = difference_of_ratios(ratios["think"], ratios["instruct"], correlation)
    return row | _named("more", map(float, apart))


def loss_interval(losses: NDArray) -> tuple[float, float, float]:
    """A mean loss and its 95 % bounds, of losses of shape (problems, repeats)."""
    means = losses.mean(axis=-1)
    _, low, high = difference_intervals(means, independent_repeats(losses))
    return float(means.mean()), float(low), float(high)


def _named(name: str, values: object) -> Row:
    """A number and its bounds under the names that they have in the table."""
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def _judged(rows: Sequence[Row]) -> Iterator[Row]:
    """The rows of one family of tests, with corrected p values and verdicts."""
    corrected = holm([row["p"] for row in rows]) if rows else []
    for row, p_holm in zip(rows, corrected, strict=True):
        found = LOSES_MORE if row["interaction"] > 0 else LOSES_LESS
        yield {**row, "p_holm": p_holm, "verdict": found if p_holm < ALPHA else NOT_SHOWN}
