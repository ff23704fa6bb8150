"""Which shapes of a pass round as the reference does: MIN_ROWS rows, a cache as long as needed.

Every check runs the shape in question and the reference, and compares bit by bit.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from workflow_scripts.engines.passes import Passes
from workflow_scripts.engines.skipping import first_rows, row_counts
from workflow_scripts.engines.slots import SlotCache, cache_length
from workflow_scripts.models.routed import Gates

if TYPE_CHECKING:
    from transformers import DynamicCache

# with fewer, kernels for vectors step in, which sum in another order
MIN_ROWS = 4
CHECKED_PROMPT = 17
CHECKED_TOGETHER = (MIN_ROWS, CHECKED_PROMPT, 31)  # tokens of prompts, beside a longer one
MOST_TOGETHER = 256  # tokens of prompts that are prefilled together


@torch.inference_mode()
def shape_is_like_the_reference(passes: Passes, rows: int, longest: int) -> bool:
    """Whether every row of a step has, bit by bit, the logits of the reference's first.

    For references of every length, full but for a token: the order in which attention sums over a
    cache shows only where much of it is visible. Where tokens skip sublayers, all rows run all of
    them, and have the reference's margins too, of which the last bit may decide; rows that skip
    everything have its keys and values.
    """
    prefilled, length = _prefilled(passes), cache_length(longest)
    used = passes.new_cache(prefilled, rows, length)
    lengths = [*_lengths(length)]
    for shorter, own in enumerate(lengths):
        reference = passes.new_cache(prefilled, MIN_ROWS, own)
        expected = _checked_step(passes, reference, prefilled, own - 2)
        for used.used in lengths[shorter:]:
            if not _are_first_rows(_checked_step(passes, used, prefilled, own - 2), expected):
                return False
    if passes.routing:
        reference, last = passes.new_cache(prefilled, MIN_ROWS, length), length - 2
        found, expected = (
            [
                *_checked_step(passes, cache, prefilled, last, running=0),
                *_new_states(cache, last, slice(None)),
            ]
            for cache in (used, reference)
        )
        if not _are_first_rows(found, expected):
            return False
    return _rows_of_two_lengths_are_apart(passes, prefilled, used, longest)


def _rows_of_two_lengths_are_apart(
    passes: Passes, prefilled: "DynamicCache", used: SlotCache, longest: int
) -> bool:
    """Whether short rows beside rows of the longest sequence have the logits and margins that both
    have by themselves: the frequencies of some rotary embeddings change with the length.
    """
    ends = 1, max(longest - 1, 1)
    alone = []
    for tokens in ends:
        reference = passes.new_cache(prefilled, MIN_ROWS, cache_length(tokens + 1))
        alone.append(_checked_step(passes, reference, prefilled, tokens))
    used.repeat(prefilled, ends[1])
    used.used, rows = cache_length(longest), len(used.positions)
    mixed = _step(passes, used, [ends[row % 2] for row in range(rows)])
    return all(
        _are_first_rows([part[number::2] for part in mixed], expected)
        for number, expected in enumerate(alone)
    )


@torch.inference_mode()
def sizes_like_the_reference(passes: Passes, rows: int, longest: int) -> list[int]:
    """The numbers of rows of which a sublayer may be computed for tokens that do not skip it.

    All rows, which are found to be like the reference before; and fewer, in which, for caches of
    every length, each has the logits of the reference's first, beside rows that skip everything and
    have the logits, keys and values of a reference that does.
    """
    prefilled, length = _prefilled(passes), cache_length(longest)
    reference = passes.new_cache(prefilled, MIN_ROWS, length)
    used = passes.new_cache(prefilled, rows, length)
    *left, whole = row_counts(rows, MIN_ROWS)
    for own in _lengths(length):
        reference.used = used.used = own
        last = own - 2
        none = _checked_step(passes, reference, prefilled, last, running=0)[:1]
        none += [states.clone() for states in _new_states(reference, last, slice(1))]
        every = _checked_step(passes, reference, prefilled, last)[:1]
        for size in [*left]:
            logits = _checked_step(passes, used, prefilled, last, running=size)[0]
            skipped = [logits[size:], *_new_states(used, last, slice(size, None))]
            if not (_are_first_rows([logits[:size]], every) and _are_first_rows(skipped, none)):
                left.remove(size)
    return [*left, whole]


def _checked_step(
    passes: Passes,
    cache: SlotCache,
    prefilled: "DynamicCache",
    tokens: int,
    running: int | None = None,
) -> list[torch.Tensor]:
    """What `_step` says of rows with a cache of `tokens`: those of a prompt, over and over."""
    cache.repeat(prefilled, tokens)
    return _step(passes, cache, [tokens] * len(cache.positions), running)


def _step(
    passes: Passes, cache: SlotCache, at: list[int], running: int | None = None
) -> list[torch.Tensor]:
    """Logits of one more token in each row, and margins of all routers: tensors (rows, ...).

    Where tokens skip sublayers, the first `running` rows run all of them and the others none; all
    rows run all without it.
    """
    rows, margins = len(at), []
    running = rows if running is None else running
    gates = first_rows(running, rows)

    def decide(block: int, name: str, found: torch.Tensor, must_run: torch.Tensor | None) -> Gates:
        margins.append(found)
        return gates(block, name, found, must_run)

    sizes = sorted({running, rows} - {0})
    return [passes.step(cache, [5] * rows, at, sizes, decide), *margins]


def _new_states(cache: SlotCache, at: int, rows: slice) -> list[torch.Tensor]:
    """Keys and values that some rows have left at a place though they skip, block by block."""
    if cache.present is not None:
        return []
    return [states[rows, :, at] for states in (*cache.keys, *cache.values)]


def _are_first_rows(found: list[torch.Tensor], reference: list[torch.Tensor]) -> bool:
    """Whether, tensor by tensor, each row is the reference's first, bit by bit."""
    pairs = zip(found, reference, strict=True)
    return all(torch.equal(one, other[:1].expand_as(one)) for one, other in pairs)


@torch.inference_mode()
def prompts_are_apart(passes: Passes, longest: int) -> bool:
    """Whether prompts of several lengths, prefilled together, are bit by bit what they are alone:
    logits, keys and values.
    """
    last = max(min(MOST_TOGETHER, longest) - sum(CHECKED_TOGETHER), MIN_ROWS)
    prompts = [_checked_prompt(passes, tokens) for tokens in (*CHECKED_TOGETHER, last)]
    logits, together = passes.prefill(prompts)
    start = 0
    for prompt, row in zip(prompts, logits, strict=True):
        alone, cache = passes.prefill([prompt])
        same = np.array_equal(alone[0], row)
        for one, several in zip(cache.layers, together.layers, strict=True):
            for name in ("keys", "values"):
                part = getattr(several, name)[:, :, start : start + len(prompt)]
                same = same and torch.equal(getattr(one, name), part)
        if not same:
            return False
        start += len(prompt)
    return True


def _prefilled(passes: Passes) -> "DynamicCache":
    return passes.prefill([_checked_prompt(passes, CHECKED_PROMPT)])[1]


def _checked_prompt(passes: Passes, tokens: int) -> tuple[int, ...]:
    return tuple((7 * i + 3) % passes.vocabulary for i in range(tokens))


def _lengths(longest: int) -> Iterator[int]:
    """Lengths that a cache may have, to the longest."""
    length = cache_length(1)
    while length <= longest:
        yield length
        length *= 2
