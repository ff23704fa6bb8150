"""The blocks that arXiv 2604.25098 says are hit hardest (section 6), asked of a run's masks.

They are all that the paper tells of single blocks, and the best check there is that scores and
allocations are its own. Variants are found by the names that the published values have.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from workflow_scripts.artefacts.mask_records import MaskRecord
from workflow_scripts.tables.content.removals import counts_by_part
from workflow_scripts.tables.paper.published import key

HOLDS, FAILS, OPEN, ABSENT = "holds", "does not hold", "not decided", "not in this run"

# what is claimed, whether it holds, and what is behind that
Asked = tuple[str, str, str]

# what ShortGPT removes; of Qwen3-8B the paper says in this order
REMOVED = {"s1.1-7B": (16, 17), "Qwen3-8B": (20, 17)}
IN_ORDER = "Qwen3-8B"
PRUNED_MOST = {
    "OWL": {"s1.1-7B": (10, 11), "Qwen3-8B": (8, 11)},
    "LayerIF": {"s1.1-7B": (11, 12), "Qwen3-8B": (0, 4)},
}
SPARSITIES = (10, 20)  # percent


def is_same_model(model: str, published: str) -> bool:
    """Whether a run's name for a model is the published one, apart from case and signs."""
    return key(model, "", "", 0) == key(published, "", "", 0)


def block_claims(model: str, masks: Mapping[str, MaskRecord]) -> Iterator[Asked]:
    """The claims about a model's blocks; `masks` are those of its variants by name."""
    for name, blocks in REMOVED.items():
        if is_same_model(model, name):
            first = blocks[:1] if name == IN_ORDER else blocks
            yield _removed(1, first, masks)
            yield _removed(2, blocks, masks)
    for allocation, models in PRUNED_MOST.items():
        for name, blocks in models.items():
            if is_same_model(model, name):
                yield _pruned_most(allocation, blocks, masks)


def _removed(count: int, blocks: Sequence[int], masks: Mapping[str, MaskRecord]) -> Asked:
    said = " or ".join(map(str, blocks)) if count == 1 else " and ".join(map(str, sorted(blocks)))
    what = "first removes block" if count == 1 else "removes blocks"
    found = {
        variant: mask.removed_blocks
        for variant, mask in masks.items()
        if mask.method == "shortgpt" and len(mask.removed_blocks) == count
    }
    right = all(set(removed) <= set(blocks) for removed in found.values())
    return _asked(f"ShortGPT {what} {said} (section 6)", found, right)


def _pruned_most(allocation: str, blocks: Sequence[int], masks: Mapping[str, MaskRecord]) -> Asked:
    wanted = {
        key("", f"{method}-{allocation}-{sparsity}", "", 0)
        for method in ("magnitude", "wanda")
        for sparsity in SPARSITIES
    }
    found = {
        variant: most_pruned(mask, len(blocks))
        for variant, mask in masks.items()
        if key("", variant, "", 0) in wanted
    }
    claim = f"{allocation} prunes most at blocks {' and '.join(map(str, blocks))} (section 6)"
    return _asked(claim, found, all(set(most) == set(blocks) for most in found.values()))


def most_pruned(mask: MaskRecord, count: int) -> tuple[int, ...]:
    """The blocks of whose weights the largest shares are pruned, in order; of equal ones the first.

    A block's attention and MLP weigh by their numbers of weights.
    """
    pruned, total = counts_by_part(mask)
    shares = pruned.sum(axis=0) / np.maximum(total.sum(axis=0), 1)
    return tuple(sorted(np.argsort(-shares, kind="stable")[:count].tolist()))


def _asked(claim: str, found: Mapping[str, Sequence[int]], right: bool) -> Asked:
    said = "; ".join(f"{variant}: {', '.join(map(str, b))}" for variant, b in found.items())
    return claim, ABSENT if not found else HOLDS if right else FAILS, said
