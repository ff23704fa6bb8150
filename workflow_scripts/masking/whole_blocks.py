"""Which whole blocks go, given a score for each."""

from collections.abc import Sequence

from workflow_scripts.errors import InputError


def lowest_blocks(scores: Sequence[float], count: int) -> tuple[int, ...]:
    """The `count` blocks of lowest score, in their order; of equal ones the earlier.

    `scores` has one for every block. Raises `InputError` where so many cannot be removed.
    """
    check_count(count, len(scores))
    order = sorted(range(len(scores)), key=scores.__getitem__)
    return tuple(sorted(order[:count]))


def check_count(count: int, blocks: int) -> None:
    """Raise `InputError` unless `count` of so many blocks can be removed."""
    if count >= blocks:
        raise InputError(
            f"remove_blocks is {count}: of {blocks} blocks, 1 to {blocks - 1} can be removed"
        )
