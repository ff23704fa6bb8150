"""Which whole blocks go: those of least influence, the last ones, or those on a list."""

import torch
from torch import Tensor

from workflow_scripts.config.methods import Blocks, ReverseOrder, ShortGPT
from workflow_scripts.errors import InputError


def least_influential(method: ShortGPT, block_influence: Tensor) -> tuple[int, ...]:
    """The `remove_blocks` blocks of lowest Block Influence; of equal ones the earlier.

    All are scored once, on the dense model (ShortGPT, arXiv 2403.03853). `block_influence` has
    shape (blocks,). Raises `InputError` where so many cannot be removed.
    """
    count = _count(method.remove_blocks, len(block_influence))
    order = torch.argsort(block_influence, stable=True)
    return tuple(sorted(order[:count].tolist()))


def last_blocks(method: ReverseOrder, blocks: int) -> tuple[int, ...]:
    """The `remove_blocks` last of `blocks` blocks. Raises `InputError` where they are too many."""
    return tuple(range(blocks - _count(method.remove_blocks, blocks), blocks))


def listed_blocks(method: Blocks, blocks: int) -> tuple[int, ...]:
    """The option `blocks`, in order. Raises `InputError` unless a model of `blocks` has them."""
    listed = method.blocks
    for block in listed:
        if block >= blocks:
            raise InputError(f"blocks: there is no block {block}; the model has 0 to {blocks - 1}")
    if len(listed) == blocks:
        raise InputError(f"blocks: all {blocks} blocks of the model are listed; one must stay")
    return tuple(sorted(listed))


def _count(count: int, blocks: int) -> int:
    if count >= blocks:
        raise InputError(
            f"remove_blocks is {count}: of {blocks} blocks, 1 to {blocks - 1} can be removed"
        )
    return count
