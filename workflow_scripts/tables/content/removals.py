"""What each variant removes, as far as tables and figures need it: from the masks' records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.artefacts.mask_records import read_mask_record

STEP = 0.005  # shares of removed weights that are no further apart count as one


@dataclass(frozen=True)
class Removed:
    """The share of all linear weights that a variant removes, and the blocks it takes out."""

    share: float
    blocks: tuple[int, ...]
    method: str
    digest: str


def read_removed(
    results: Path, models: Sequence[str], variants: Sequence[str]
) -> dict[tuple[str, str], Removed]:
    """By model and variant, where there is a record. Raises `InputError` where it is none."""
    found = {}
    for model in models:
        for variant in variants:
            path = results / model / variant / "mask.json"
            if not path.exists():
                continue
            record = read_mask_record(path)
            found[model, variant] = Removed(
                record.removed_fraction, record.removed_blocks, record.method, record.digest
            )
    return found


def matched(variants: Mapping[str, Removed]) -> list[tuple[str, str]]:
    """Pairs (unstructured, structured) of variants of one model that remove alike.

    A structured variant takes out whole blocks. Its partners are the unstructured ones that remove
    the least of those that remove at least as much: where such a one is better, it is so although
    more of it is gone. A structured variant without such a partner has none.
    """
    pairs = []
    for structured, taken in variants.items():
        if not taken.blocks:
            continue
        enough = {
            name: other.share
            for name, other in variants.items()
            if not other.blocks and other.share >= taken.share - STEP
        }
        least = min(enough.values(), default=0.0)
        pairs += [(name, structured) for name, share in enough.items() if share <= least + STEP]
    return pairs
