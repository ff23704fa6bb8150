"""What each variant removes or does not use, as far as tables and figures need it: from the masks'
records.

Variants that remove something and those whose tokens skip sublayers are compared by what is not
used of the blocks' weights, by a token on average: see `Ratios.unused`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_scripts.artefacts.mask_records import MaskRecord, read_mask_record
from workflow_scripts.models.linear_names import place_of
from workflow_scripts.models.routing import PARTS
from workflow_scripts.tables.ways import Way

STEP = 0.005  # shares of removed weights that are no further apart count as one
NEAR = 0.05  # shares that are further apart are not about equal

ROUTERS_ALONE = "routers"  # the kind of a recovery that trains nothing else

# what pages call the columns of tables that say how much a variant removes
RATIOS = {"asked": "requested", "blocks": "removed", "all": "removed_of_all"}
UNUSED = {"unused": "unused"}  # and, where tokens of some variant skip sublayers, another one
_RATIOS_NOTE = (
    "Asked, blocks, all: % that was asked for, and that is gone of the blocks' weights and of all "
    "parameters."
)
UNUSED_NOTE = "Unused: % of the blocks' weights that a token does not use, on average."

Masks = Mapping[tuple[str, str], MaskRecord]


class Ratios(NamedTuple):
    """How much a variant removes: what it asks for, of the blocks' weights, of all parameters.

    `unused` is the share of the blocks' weights that a token does not use, on average over tokens:
    that which is removed, as every token misses the same, or what tokens skip.
    """

    requested: float = math.nan
    removed: float = math.nan
    removed_of_all: float = math.nan
    unused: float = math.nan


def ratios_of(masks: Masks, model: str, variant: str) -> Ratios:
    """NaN where there is no record."""
    mask = masks.get((model, variant))
    if mask is None:
        return Ratios()
    return Ratios(mask.requested, mask.removed_fraction, mask.removed_of_all, unused_of(mask))


def unused_of(mask: MaskRecord) -> float:
    """The share of the blocks' weights that a token of a variant does not use, on average.

    Where tokens skip sublayers it is that of the rows that were kept apart from training; NaN where
    it was not measured.
    """
    if mask.dynamic is None:
        return mask.removed_fraction
    return math.nan if mask.dynamic.unused is None else mask.dynamic.unused


def sizes_of(masks: Mapping[str, MaskRecord]) -> dict[str, float]:
    """By variant, the one share by which variants of different families can be put in order.

    It is that of all parameters that is removed or, with variants that only skip among them, of the
    blocks' weights that is not used.
    """
    if has_unused(masks.values()):
        return {variant: unused_of(mask) for variant, mask in masks.items()}
    return {variant: mask.removed_of_all for variant, mask in masks.items()}


def has_unused(masks: Iterable[MaskRecord]) -> bool:
    """Whether what some variant does not use is something else than what it removes."""
    return any(mask.dynamic is not None for mask in masks)


def read_masks(
    results: Path, models: Sequence[str], variants: Sequence[str]
) -> dict[tuple[str, str], MaskRecord]:
    """By model and variant, where there is a record. Raises `InputError` where it is none."""
    paths = {(m, v): results / m / v / "mask.json" for m in models for v in variants}
    return {place: read_mask_record(path) for place, path in paths.items() if path.exists()}


def counts_by_part(mask: MaskRecord) -> tuple[NDArray, NDArray]:
    """The pruned and all weights of each block's attention and MLP, both of shape (2, blocks)."""
    pruned, total = np.zeros((2, mask.blocks)), np.zeros((2, mask.blocks))
    for name, linear in mask.linears.items():
        block, part = place_of(name)
        place = PARTS.index(part), block
        pruned[place] += linear.achieved * linear.weights
        total[place] += linear.weights
    return pruned, total


def is_structured(way: Way) -> bool:
    """Whether a variant loses blocks, heads, neurons or directions of hidden states as wholes.

    What is left is then a smaller model, as it is not where single weights go.
    """
    return way.removes and way.family != "unstructured"


def has_trained_weights(way: Way, mask: MaskRecord) -> bool:
    """Whether a variant was trained after pruning, and not its routers alone."""
    return bool(way.recovery) and mask.recovery.get("kind") != ROUTERS_ALONE


def matched(variants: Mapping[str, MaskRecord], ways: Mapping[str, Way]) -> list[tuple[str, str]]:
    """Pairs (unstructured, structured) of variants of one model that remove alike.

    What is alike are shares of the blocks' weights, the only ones that single weights are removed
    from. A structured variant's partners are the unstructured ones that remove the least of those
    that remove at least as much: where such a one is better, it is so although more of it is gone.
    A structured variant without such a partner has none. Partners have the same recovery, or none.
    """
    pairs = []
    for structured, taken in variants.items():
        if not is_structured(ways[structured]):
            continue
        enough = {
            name: other.removed_fraction
            for name, other in variants.items()
            if ways[name].family == "unstructured"
            and ways[name].recovery == ways[structured].recovery
            and other.removed_fraction >= taken.removed_fraction - STEP
        }
        least = min(enough.values(), default=0.0)
        pairs += [(name, structured) for name, share in enough.items() if share <= least + STEP]
    return pairs


def equal_sizes(
    variants: Mapping[str, MaskRecord], ways: Mapping[str, Way]
) -> list[tuple[str, str]]:
    """Pairs of structured variants of one model, of two families, that leave about the same size.

    Sizes are shares of all parameters. A variant's partners in another family, with the same
    recovery or none, are those that are nearest, and no further than `NEAR`. Pairs are in the
    variants' order, the first of each too.
    """
    sizes = {
        name: one.removed_of_all for name, one in variants.items() if is_structured(ways[name])
    }
    place = {name: number for number, name in enumerate(sizes)}
    kinds: dict[str, dict[str, dict[str, float]]] = {}  # by recovery and family
    for name, size in sizes.items():
        kinds.setdefault(ways[name].recovery, {}).setdefault(ways[name].family, {})[name] = size
    pairs = {
        tuple(sorted(pair, key=place.__getitem__))
        for families in kinds.values()
        for one, other in combinations(families.values(), 2)
        for pair in nearest(one, other)
    }
    return sorted(pairs, key=lambda pair: [place[name] for name in pair])


def equal_unused(
    variants: Mapping[str, MaskRecord], ways: Mapping[str, Way]
) -> list[tuple[str, str]]:
    """Pairs (dynamic, static) of variants of one model of which a token uses about as much.

    Static are those that remove something. A dynamic variant's partners are those of each family of
    these that are nearest, and no further than `NEAR`. Both have trained weights, or neither:
    recoveries are others, since one of the two trains routers. Pairs are in the variants' order.
    """
    unused = {name: unused_of(mask) for name, mask in variants.items()}
    pairs = []
    for dynamic in (name for name in variants if ways[name].is_dynamic):
        gaps: dict[str, dict[str, float]] = {}  # by family; NaN is near to none
        for name in variants:
            trained = [has_trained_weights(ways[v], variants[v]) for v in (dynamic, name)]
            if ways[name].removes and trained[0] == trained[1]:
                apart = abs(unused[name] - unused[dynamic])
                gaps.setdefault(ways[name].family, {})[name] = apart
        partners = {
            name
            for family in gaps.values()
            for name, gap in family.items()
            if gap <= min(min(family.values()) + STEP, NEAR)
        }
        pairs += [(dynamic, name) for name in variants if name in partners]
    return pairs


def nearest(one: Mapping[str, float], other: Mapping[str, float]) -> list[tuple[str, str]]:
    """Pairs of variants, given with their sizes, of which either is among the nearest to the other.

    None are further apart than `NEAR`. The first of a pair is of `one`; pairs are in its order.
    """
    gaps = {(a, b): abs(one[a] - other[b]) for a in one for b in other}

    def is_near(a: str, b: str) -> bool:
        to_a, to_b = min(gaps[a, name] for name in other), min(gaps[name, b] for name in one)
        return gaps[a, b] <= min(max(to_a, to_b) + STEP, NEAR)

    return [pair for pair in gaps if is_near(*pair)]


def percent(share: float) -> str:
    """A share as a cell of a page shows it; empty where it is not known."""
    return "" if math.isnan(share) else f"{100 * share:.1f}".replace("-", "−")


def shown_ratios(rows: pd.DataFrame, of: Sequence[str] = ("",)) -> dict[str, str]:
    """The columns of a table that a page shows about what is removed, by their heads.

    What is not used is among them where it is something else. `of` is what the columns of `rows`
    begin with.
    """
    apart = any(not rows[f"{one}unused"].equals(rows[f"{one}removed"]) for one in of)
    return RATIOS | UNUSED if apart else RATIOS


def ratios_note(heads: Iterable[str]) -> str:
    """What the columns with these heads mean."""
    return f"{_RATIOS_NOTE} {UNUSED_NOTE}" if {*UNUSED} & {*heads} else _RATIOS_NOTE


def ratio_columns(
    rows: pd.DataFrame, shown: Mapping[str, str], of: str = ""
) -> dict[str, pd.Series]:
    """Those columns as text, from those of a table that begin with `of`."""
    return {head: rows[of + column].map(percent) for head, column in shown.items()}


def with_ratios(frame: pd.DataFrame, masks: Masks, model: str) -> pd.DataFrame:
    """A page's table of a model, variants down, with what each removes beside its name."""
    ratios = pd.DataFrame([ratios_of(masks, model, variant) for variant in frame["variant"]])
    names, rest = frame[["variant"]], frame.drop(columns="variant")
    columns = ratio_columns(ratios, shown_ratios(ratios))
    return pd.concat([names.assign(**columns), rest], axis=1)
