"""What each variant removes, as far as tables and figures need it: from the masks' records."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workflow_scripts.artefacts.mask_records import MaskRecord, read_mask_record
from workflow_scripts.models.linear_names import place_of

STEP = 0.005  # shares of removed weights that are no further apart count as one

PARTS = ("attention", "mlp")

Masks = Mapping[tuple[str, str], MaskRecord]


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


def matched(variants: Mapping[str, MaskRecord]) -> list[tuple[str, str]]:
    """Pairs (unstructured, structured) of variants of one model that remove alike.

    A structured variant takes out whole blocks. Its partners are the unstructured ones that remove
    the least of those that remove at least as much: where such a one is better, it is so although
    more of it is gone. A structured variant without such a partner has none.
    """
    pairs = []
    for structured, taken in variants.items():
        if not taken.removed_blocks:
            continue
        enough = {
            name: other.removed_fraction
            for name, other in variants.items()
            if not other.removed_blocks and other.removed_fraction >= taken.removed_fraction - STEP
        }
        least = min(enough.values(), default=0.0)
        pairs += [(name, structured) for name, share in enough.items() if share <= least + STEP]
    return pairs
