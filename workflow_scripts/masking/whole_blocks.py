"""Which whole blocks go, given a score for each."""

import math
from collections.abc import Mapping, Sequence

from workflow_scripts.artefacts.mask_records import BlockScores
from workflow_scripts.config.methods.depth import PLUS
from workflow_scripts.errors import InputError
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.models.block_removal import check_removable


def lowest_blocks(scores: Sequence[float], count: int) -> tuple[int, ...]:
    """The `count` blocks of lowest score, in their order; of equal ones the earlier.

    `scores` has one for every block. Raises `InputError` where so many cannot be removed.
    """
    check_count(count, len(scores))
    return lowest(dict(enumerate(scores)), count)


def lowest(scores: Mapping[int, float], count: int) -> tuple[int, ...]:
    """The `count` blocks of lowest score among those that have one, in their order."""
    return tuple(sorted(sorted(scores, key=lambda block: (scores[block], block))[:count]))


def check_count(count: int, blocks: int, may_go: int | None = None, why: str = "") -> None:
    """Raise `InputError` unless `count` of so many blocks can be removed, and one stays.

    Where fewer `may_go`, the message ends with `why`.
    """
    most = blocks - 1 if may_go is None else min(max(may_go, 0), blocks - 1)
    if count > most:
        some = f"1 to {most}" if most > 1 else "1" if most else "none"
        raise InputError(
            f"remove_blocks is {count}: of {blocks} blocks, {some} can be removed{why}"
        )


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


def shortened_places(inputs: Inputs) -> range:
    """The blocks that a `shortened` method may take; raises `InputError` where they are too few."""
    blocks, plus = inputs.checkpoint.blocks, inputs.options.plus
    check_removable(inputs.checkpoint)
    places = inputs.options.places(blocks)
    first, last = PLUS
    stay = f": the first {first} and the last {last} stay, unless plus is false" if plus else ""
    check_count(inputs.options.remove_blocks, blocks, len(places), stay)
    return places


def of_places(scores: Mapping[int, float], places: range) -> dict[int, float]:
    """The scores of the blocks that may go."""
    return {block: scores[block] for block in places}
