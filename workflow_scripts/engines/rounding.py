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
    cache shows only where much of it is visible.
    """
    prefilled, length = _prefilled(passes), cache_length(longest)
    used = passes.new_cache(prefilled, rows, length)
    lengths = [*_lengths(length)]
    for shorter, own in enumerate(lengths):
        reference = passes.new_cache(prefilled, MIN_ROWS, own)
        expected = _checked_step(passes, reference, prefilled, own - 2)[:1]
        for used.used in lengths[shorter:]:
            found = _checked_step(passes, used, prefilled, own - 2)
            if not torch.equal(found, expected.expand_as(found)):
                return False
    return _rows_of_two_lengths_are_apart(passes, prefilled, used, longest)


def _rows_of_two_lengths_are_apart(
    passes: Passes, prefilled: "DynamicCache", used: SlotCache, longest: int
) -> bool:
    """Whether short rows beside rows of the longest sequence have the logits that both have by
    themselves: the frequencies of some rotary embeddings change with the length.
    """
    ends = 1, max(longest - 1, 1)
    alone = []
    for tokens in ends:
        reference = passes.new_cache(prefilled, MIN_ROWS, cache_length(tokens + 1))
        alone.append(_checked_step(passes, reference, prefilled, tokens)[0])
    used.repeat(prefilled, ends[1])
    used.used, rows = cache_length(longest), len(used.positions)
    at = [ends[row % 2] for row in range(rows)]
    mixed = passes.step(used, [5] * rows, at, [rows])
    return all(torch.equal(row, alone[number % 2]) for number, row in enumerate(mixed))


@torch.inference_mode()
def sizes_like_the_reference(passes: Passes, rows: int, longest: int) -> list[int]:
    """The numbers of rows of which a sublayer may be computed for tokens that do not skip it.

    Those in which, for caches of every length, each has the logits of the reference's first,
    beside rows that skip everything and have the logits, keys and values of a reference that does.
    """
    prefilled, length = _prefilled(passes), cache_length(longest)
    reference = passes.new_cache(prefilled, MIN_ROWS, length)
    used = passes.new_cache(prefilled, rows, length)
    left = [*row_counts(rows, MIN_ROWS)]
    for own in _lengths(length):
        reference.used = used.used = own
        last = own - 2
        none = _checked_step(passes, reference, prefilled, last, running=0)[:1]
        skipped = [states[:1, :, last].clone() for states in (*reference.keys, *reference.values)]
        every = _checked_step(passes, reference, prefilled, last, running=MIN_ROWS)[:1]
        for size in [*left]:
            logits = _checked_step(passes, used, prefilled, last, running=size)
            found = [states[size:, :, last] for states in (*used.keys, *used.values)]
            expected = [every, none, *skipped]
            pairs = zip([logits[:size], logits[size:], *found], expected, strict=True)
            if size < rows and not all(torch.equal(a, b.expand_as(a)) for a, b in pairs):
                left.remove(size)
    return left


def _checked_step(
    passes: Passes,
    cache: SlotCache,
    prefilled: "DynamicCache",
    tokens: int,
    running: int | None = None,
) -> torch.Tensor:
    """Logits of all rows with a cache of `tokens`: those of a prompt, over and over.

    With a number of `running` rows, the first of them run every sublayer and the others none.
    """
    cache.repeat(prefilled, tokens)
    rows = len(cache.positions)
    sizes = [rows] if not running else sorted({running, rows})
    decide = None if running is None else first_rows(running, rows)
    return passes.step(cache, [5] * rows, [tokens] * rows, sizes, decide)


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
