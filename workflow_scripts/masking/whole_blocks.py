"""Which whole blocks go: those of least influence, the last ones, or those on a list."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from workflow_scripts.errors import InputError


def least_influential(options: Mapping[str, Any], block_influence: Tensor) -> tuple[int, ...]:
    """The `remove_blocks` blocks of lowest Block Influence; of equal ones the earlier.

    All are scored once, on the dense model (ShortGPT, arXiv 2403.03853). `block_influence` has
    shape (blocks,). Raises `InputError` where so many cannot be removed.
    """
    count = _count(options, len(block_influence))
    order = torch.argsort(block_influence, stable=True)
    return tuple(sorted(order[:count].tolist()))


def last_blocks(options: Mapping[str, Any], blocks: int) -> tuple[int, ...]:
    """The `remove_blocks` last of `blocks` blocks. Raises `InputError` where they are too many."""
    return tuple(range(blocks - _count(options, blocks), blocks))


def listed_blocks(options: Mapping[str, Any], blocks: int) -> tuple[int, ...]:
    """The option `blocks`, in order. Raises `InputError` unless a model of `blocks` has them."""
    listed = options.get("blocks")
    if (
        not isinstance(listed, list)
        or not all(type(block) is int for block in listed)
        or not listed
    ):
        raise InputError(f"blocks is {listed!r}, not a list of one or more block numbers")
    for block in listed:
        if not 0 <= block < blocks:
            raise InputError(f"blocks: there is no block {block}; the model has 0 to {blocks - 1}")
        if listed.count(block) > 1:
            raise InputError(f"blocks: {block} stands there more than once")
    if len(listed) == blocks:
        raise InputError(f"blocks: all {blocks} blocks of the model are listed; one must stay")
    return tuple(sorted(listed))


def _count(options: Mapping[str, Any], blocks: int) -> int:
    count = options.get("remove_blocks")
    if type(count) is not int or not 1 <= count < blocks:
        raise InputError(
            f"remove_blocks is {count!r}: of {blocks} blocks, 1 to {blocks - 1} can be removed"
        )
    return count
