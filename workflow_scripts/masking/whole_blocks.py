"""Which whole blocks go, given a score for each."""

import math
from collections.abc import Mapping, Sequence

from workflow_scripts.artefacts.mask_records import BlockScores
from workflow_scripts.errors import InputError


def lowest_blocks(scores: Sequence[float], count: int) -> tuple[int, ...]:
    """The `count` blocks of lowest score, in their order; of equal ones the earlier.

    `scores` has one for every block.
    """
    return lowest(dict(enumerate(scores)), count)


def lowest(scores: Mapping[int, float], count: int) -> tuple[int, ...]:
    """The `count` blocks of lowest score among those that have one, in their order."""
    return tuple(sorted(sorted(scores, key=lambda block: (scores[block], block))[:count]))


def check_finite(losses: Mapping[int, float], count: int) -> dict[int, float]:
    """The losses that are numbers, by block. Raises `InputError` where fewer than `count` are."""
    finite = {block: loss for block, loss in losses.items() if math.isfinite(loss)}
    if len(finite) < count:
        others = " or ".join(str(block) for block in losses if block not in finite)
        raise InputError(
            f"the loss is NaN or infinite without block {others}: {len(finite)} blocks can be "
            f"chosen, {count} must go"
        )
    return finite


def as_scores(measure: str, found: Mapping[int, float], blocks: int) -> BlockScores:
    """Scores of some of a model's blocks, by their numbers, as a record has them."""
    return BlockScores(measure=measure, values=tuple(found.get(b) for b in range(blocks)))


def of_places(scores: Mapping[int, float], places: range) -> dict[int, float]:
    """The scores of the blocks that may go."""
    return {block: scores[block] for block in places}
