"""The transformers engine: continuous batching in slots of fixed shape.

What a request yields must not depend on its neighbours, on the size of the batch or on the number
of threads. So on a CPU each thread has slots of its own and computes alone: threads of PyTorch's
would share one step, and its attention gives the second one scratch memory that need not begin
where vectors do, which rounds in another way. A decoding step always has the same rows, empty ones
included. Floating-point kernels choose their order of summation by shape, not by value; what is
left is that the number of rows, a row's place among them or the length of the cache could change
it. So a step of MIN_ROWS rows over a cache that is as long as its request needs is the reference,
and a larger shape is used only where its logits are found to be the reference's, bit by bit, when
the engine starts; short rows beside long ones included. Where they are not, half as many slots are
tried, and so on; at the end each thread decodes one request at a time in the reference shape.
Experts of a mixture run for each row by itself in a step (`batched_mm`), for how many rows are
routed to one depends on the neighbours; their prompts are prefilled alone, in one thread, since how
experts run is a setting of the whole model.

A prompt is rounded as it is alone: equal ones are prefilled once, and others together only where
logits, keys and values are found to be the same. An answer does not go on from the cache of its
trace: decoded keys and values are rounded in another way than prefilled ones, which are all there
is where the trace comes from the store.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned
from workflow_scripts.engines.attention import use_grouped_attention
from workflow_scripts.engines.interface import Completion, EngineSettings, Request
from workflow_scripts.engines.sampling import UniformStream, draw_token
from workflow_scripts.engines.slots import (
    Part,
    Slot,
    SlotCache,
    cache_length,
    together,
)
from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import open_checkpoint
from workflow_scripts.models.experts import is_mixture, row_by_row
from workflow_scripts.models.rope import rotate_rows_apart

if TYPE_CHECKING:
    from transformers import DynamicCache, PreTrainedModel

LOG = logging.getLogger(__name__)
# with fewer, kernels for vectors step in, which sum in another order
MIN_ROWS = 4
CHECKED_PROMPT = 17
CHECKED_TOGETHER = (MIN_ROWS, CHECKED_PROMPT, 31)  # tokens of prompts, beside a longer one
MOST_TOGETHER = 256  # tokens of prompts that are prefilled together
# on GPUs: others split their sums by the length of the cache, which is not the request's alone
GPU_ATTENTION = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def start(
    model: Path, pruned: Pruned, settings: EngineSettings, vocabulary: int, longest: int
) -> "TransformersEngine":
    """Load the dense checkpoint, prune it in memory and put it behind the engine."""
    torch.set_num_threads(settings.threads)
    loaded = load_pruned(model, pruned, settings)
    if settings.device != "cpu":
        return TransformersEngine(loaded, vocabulary, settings.batch_size, longest)
    torch.set_num_threads(1)  # the engine's threads compute side by side instead
    return TransformersEngine(loaded, vocabulary, settings.batch_size, longest, settings.threads)


def load_pruned(model: Path, pruned: Pruned, settings: EngineSettings) -> "PreTrainedModel":
    """The dense checkpoint in a folder as `pruned` leaves it, in memory, on the device."""
    from workflow_scripts.models.architectures import load_model

    checkpoint = open_checkpoint(model)
    loaded = load_model(checkpoint, getattr(torch, settings.dtype))
    apply_pruned(loaded, pruned, checkpoint)
    return loaded.to(settings.device)


class TransformersEngine:
    """Decodes requests with a loaded model; `vocabulary` is the number of ids the tokenizer has.

    Logits of ids beyond the vocabulary (padding rows of the embedding) are never drawn. `slots`
    requests are decoded together, in parts that `threads` threads compute side by side; `longest`
    is the most tokens that one request may come to. Each thread computes with one thread of
    PyTorch's where that is what the caller has set.
    """

    def __init__(
        self,
        model: "PreTrainedModel",
        vocabulary: int,
        slots: int,
        longest: int,
        threads: int = 1,
    ) -> None:
        self._model = model.eval()
        is_apart = rotate_rows_apart(model)
        self._vocabulary = vocabulary
        self._device = next(model.parameters()).device
        self._longest = longest
        self._length = cache_length(longest)
        is_grouped = self._device.type == "cpu" and use_grouped_attention(model)
        self._is_mixture = is_mixture(model)
        threads = 1 if self._is_mixture else threads
        self._parts = max(1, min(threads, slots // MIN_ROWS))
        self._slots = -(-slots // self._parts)  # of each part
        while self._slots > 1 and not self._shape_is_like_the_reference():
            self._slots //= 2
        if self._slots == 1:
            self._parts = min(threads, slots)
        self._map: Callable[..., Any] = map
        if self._parts > 1:
            self._map = ThreadPoolExecutor(self._parts).map
        if (at_a_time := self._parts * self._slots) < slots:
            several = f"{at_a_time} requests" if at_a_time > 1 else "one request"
            LOG.warning(
                "on this machine larger batches of this model round differently; the engine "
                f"decodes {several} at a time"
            )
        self._prefills_together = (
            is_grouped
            and not (is_apart or self._is_mixture)
            and slots > 1
            and self._prompts_are_apart()
        )

    @torch.inference_mode()
    def generate(self, queue: deque[Request]) -> Iterator[tuple[Request, Completion]]:
        """Yield every request of the queue with its completion; see `interface.py`."""
        parts = [Part([None] * self._rows) for _ in range(self._parts)]
        while queue or any(any(part.slots) for part in parts):
            for i, part in ((i, part) for i in range(self._slots) for part in parts):
                if queue and part.slots[i] is None:
                    request = queue.popleft()
                    part.slots[i] = Slot(request, UniformStream(request.seed))
            for part, drawn in zip(parts, self._map(self._advance, parts), strict=True):
                for i, token in drawn:
                    yield from self._add(part, i, token)

    def _add(self, part: Part, i: int, token: int) -> Iterator[tuple[Request, Completion]]:
        """Give a slot its next token; free it and yield where that ends its request."""
        slot = part.slots[i]
        assert slot is not None
        stopped = token in slot.request.stop
        if not stopped:
            slot.tokens.append(token)
        if stopped or len(slot.tokens) == slot.request.max_tokens:
            part.slots[i] = None
            yield slot.request, Completion(tuple(slot.tokens), token if stopped else None)

    @torch.inference_mode()
    def _advance(self, part: Part) -> list[tuple[int, int]]:
        """The next token of each slot, with the slot's number."""
        taken = [(i, slot) for i, slot in enumerate(part.slots) if slot is not None]
        logits: dict[int, np.ndarray] = {}
        # before prompts are filled in: a step writes to the rows without one as well
        if part.cache is not None and any(slot.tokens for _, slot in taken):
            step = self._decode(part.cache, part.slots)
            logits |= {i: step[i] for i, slot in taken if slot.tokens}
        self._prefill_new(part, taken)
        return [(i, self._draw(slot, logits.get(i, slot.after_prompt))) for i, slot in taken]

    def _prefill_new(self, part: Part, taken: list[tuple[int, Slot]]) -> None:
        """Bring the prompts of new slots into the cache: from a slot that has the same, or anew."""
        asked = {slot.request.prompt: (i, slot) for i, slot in taken if slot.tokens}
        new: dict[tuple[int, ...], list[tuple[int, Slot]]] = {}
        for i, slot in taken:
            prompt = slot.request.prompt
            if not slot.tokens and part.cache is not None and prompt in asked:
                source, same = asked[prompt]
                part.cache.copy(source, i, len(prompt))
                slot.after_prompt = same.after_prompt
            elif not slot.tokens:
                new.setdefault(prompt, []).append((i, slot))
        fewest, most = (MIN_ROWS, MOST_TOGETHER) if self._prefills_together else (0, 0)
        for prompts in together(list(new), fewest, most):
            logits, prefilled = self._prefill(prompts)
            start = 0
            for prompt, row in zip(prompts, logits, strict=True):
                for i, slot in new[prompt]:
                    if part.cache is None or self._slots == 1:
                        length = self._length_for(slot.request)
                        part.cache = SlotCache(prefilled, self._rows, length)
                    part.cache.fill(i, prefilled, start, start + len(prompt))
                    slot.after_prompt = row
                start += len(prompt)

    def _draw(self, slot: Slot, logits: np.ndarray) -> int:
        if not np.isfinite(logits).all():
            raise InputError(
                f"{self._model.name_or_path}: logits are not finite at token "
                f"{len(slot.tokens) + 1} after a prompt of {len(slot.request.prompt)}: the pruned "
                f"model overflows in {self._model.dtype}; set generation.dtype to a wider type"
            )
        return draw_token(logits, slot.request.sampling, slot.stream)

    def _prefill(self, prompts: list[tuple[int, ...]]) -> "tuple[np.ndarray, DynamicCache]":
        """Logits after each prompt, (prompts, vocabulary), and keys and values of all their tokens.

        Several prompts lie in one row, one after the other.
        """
        from transformers.cache_utils import DynamicLayer

        ids = torch.tensor([[token for prompt in prompts for token in prompt]], device=self._device)
        options: dict[str, Any] = {"logits_to_keep": 1}
        if len(prompts) > 1:
            lengths = [len(prompt) for prompt in prompts]
            options = {
                "lengths": lengths,
                "position_ids": torch.cat([torch.arange(n) for n in lengths])[None],
                "logits_to_keep": torch.tensor(lengths).cumsum(0) - 1,
                # of four dimensions, it is left as it is: the lengths say what is visible
                "attention_mask": torch.ones(1, 1, 1, 1, dtype=torch.bool),
            }
        output = self._model(input_ids=ids, use_cache=True, **options)
        cache = output.past_key_values
        if any(type(layer) is not DynamicLayer for layer in cache.layers):
            raise InputError(
                f"model type {self._model.config.model_type!r}: the transformers engine decodes "
                "models with full attention in every block; this one keeps another kind of state"
            )
        return self._usable(output.logits[0]), cache

    def _decode(self, cache: SlotCache, slots: list[Slot | None]) -> np.ndarray:
        """Feed each slot its last token; logits (rows, vocabulary). Idle rows run along."""
        last = [slot.tokens[-1] if slot and slot.tokens else 0 for slot in slots]
        positions = [slot.position if slot and slot.tokens else 0 for slot in slots]
        if self._slots > 1:
            cache.used = cache_length(max(positions) + 1)
        return self._usable(self._step(cache, last, positions))

    def _step(self, cache: SlotCache, ids: list[int], positions: list[int]) -> torch.Tensor:
        """Logits (rows, ids of the embedding) after one more token in each row."""
        at = torch.tensor(positions, device=self._device)
        cache.positions = at
        visible = torch.arange(cache.used, device=self._device) <= at[:, None]
        kernels = sdpa_kernel(GPU_ATTENTION) if self._device.type == "cuda" else nullcontext()
        experts = row_by_row(self._model) if self._is_mixture else nullcontext()
        with kernels, experts:
            output = self._model(
                input_ids=torch.tensor(ids, device=self._device)[:, None],
                position_ids=at[:, None],
                attention_mask=visible[:, None, None, :],
                past_key_values=cache,
                use_cache=True,
            )
        return output.logits[:, -1]

    def _usable(self, logits: torch.Tensor) -> np.ndarray:
        return logits[..., : self._vocabulary].float().cpu().numpy()

    def _length_for(self, request: Request) -> int:
        if self._slots > 1:
            return self._length
        return cache_length(len(request.prompt) + request.max_tokens)

    @property
    def _rows(self) -> int:
        return max(self._slots, MIN_ROWS)

    @torch.inference_mode()
    def _shape_is_like_the_reference(self) -> bool:
        """Whether every row of a step has, bit by bit, the logits of the reference's first.

        For references of every length, full but for a token: the order in which attention sums
        over a cache shows only where much of it is visible.
        """
        _, prefilled = self._prefill([self._checked_prompt(CHECKED_PROMPT)])
        used = SlotCache(prefilled, self._rows, self._length)
        lengths = [cache_length(1)]
        while lengths[-1] < self._length:
            lengths.append(2 * lengths[-1])
        for shorter, length in enumerate(lengths):
            reference = SlotCache(prefilled, MIN_ROWS, length)
            expected = self._checked_step(reference, prefilled, length - 2)[:1]
            for used.used in lengths[shorter:]:
                found = self._checked_step(used, prefilled, length - 2)
                if not torch.equal(found, expected.expand_as(found)):
                    return False
        return self._rows_of_two_lengths_are_apart(prefilled, used)

    def _rows_of_two_lengths_are_apart(self, prefilled: "DynamicCache", used: SlotCache) -> bool:
        """Whether short rows beside rows of the longest sequence have the logits that both have by
        themselves: the frequencies of some rotary embeddings change with the length.
        """
        ends = 1, max(self._longest - 1, 1)
        alone = []
        for tokens in ends:
            reference = SlotCache(prefilled, MIN_ROWS, cache_length(tokens + 1))
            alone.append(self._checked_step(reference, prefilled, tokens)[0])
        used.repeat(prefilled, ends[1])
        used.used = self._length
        mixed = self._step(used, [5] * self._rows, [ends[row % 2] for row in range(self._rows)])
        return all(torch.equal(row, alone[number % 2]) for number, row in enumerate(mixed))

    def _checked_step(
        self, cache: SlotCache, prefilled: "DynamicCache", tokens: int
    ) -> torch.Tensor:
        """Logits of all rows with a cache of `tokens`: those of a prompt, over and over."""
        cache.repeat(prefilled, tokens)
        rows = len(cache.positions)
        return self._step(cache, [5] * rows, [tokens] * rows)

    @torch.inference_mode()
    def _prompts_are_apart(self) -> bool:
        """Whether prompts of several lengths, prefilled together, are bit by bit what they are
        alone: logits, keys and values.
        """
        last = max(min(MOST_TOGETHER, self._longest) - sum(CHECKED_TOGETHER), MIN_ROWS)
        prompts = [self._checked_prompt(tokens) for tokens in (*CHECKED_TOGETHER, last)]
        logits, together = self._prefill(prompts)
        start = 0
        for prompt, row in zip(prompts, logits, strict=True):
            alone, cache = self._prefill([prompt])
            same = np.array_equal(alone[0], row)
            for one, several in zip(cache.layers, together.layers, strict=True):
                for name in ("keys", "values"):
                    part = getattr(several, name)[:, :, start : start + len(prompt)]
                    same = same and torch.equal(getattr(one, name), part)
            if not same:
                return False
            start += len(prompt)
        return True

    def _checked_prompt(self, tokens: int) -> tuple[int, ...]:
        return tuple((7 * i + 3) % self._vocabulary for i in range(tokens))
