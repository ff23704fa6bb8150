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
Sublayers that tokens skip are computed for the other rows alone, see `skipping`; the margins that
decide it are the reference's to the last bit as well.
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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned
from workflow_scripts.engines.attention import use_grouped_attention
from workflow_scripts.engines.interface import Completion, EngineSettings, Request
from workflow_scripts.engines.passes import Passes
from workflow_scripts.engines.rounding import (
    MIN_ROWS,
    MOST_TOGETHER,
    prompts_are_apart,
    shape_is_like_the_reference,
    sizes_like_the_reference,
)
from workflow_scripts.engines.sampling import UniformStream, draw_token
from workflow_scripts.engines.slots import Part, Slot, SlotCache, cache_length, together
from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import open_checkpoint
from workflow_scripts.models.rope import rotate_rows_apart

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LOG = logging.getLogger(__name__)


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
        self.passes = passes = Passes(model, vocabulary)
        is_apart = rotate_rows_apart(model)
        self._length = cache_length(longest)
        is_grouped = passes.device.type == "cpu" and use_grouped_attention(model)
        threads = 1 if passes.is_mixture else threads
        self._parts = max(1, min(threads, slots // MIN_ROWS))
        self._slots = -(-slots // self._parts)  # of each part
        while self._slots > 1 and not shape_is_like_the_reference(passes, self._rows, longest):
            self._slots //= 2
        if passes.routing:
            passes.sizes = sizes_like_the_reference(passes, self._rows, longest)
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
            and not (is_apart or passes.is_mixture or passes.routing)
            and slots > 1
            and prompts_are_apart(passes, longest)
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
            routes = np.stack(slot.routes) if slot.routes else None
            stopped_by = token if stopped else None
            yield slot.request, Completion(tuple(slot.tokens), stopped_by, routes)

    @torch.inference_mode()
    def _advance(self, part: Part) -> list[tuple[int, int]]:
        """The next token of each slot, with the slot's number."""
        taken = [(i, slot) for i, slot in enumerate(part.slots) if slot is not None]
        logits: dict[int, np.ndarray] = {}
        # before prompts are filled in: a step writes to the rows without one as well
        if part.cache is not None and any(slot.tokens for _, slot in taken):
            step = self._decode(part.cache, part.slots)
            logits |= {i: step[i] for i, slot in taken if slot.tokens}
            for i, slot in taken:
                if slot.tokens and part.cache.ran is not None:
                    slot.routes.append(part.cache.ran[i])
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
            logits, prefilled = self.passes.prefill(prompts)
            start = 0
            for prompt, row in zip(prompts, logits, strict=True):
                for i, slot in new[prompt]:
                    if part.cache is None or self._slots == 1:
                        length = self._length_for(slot.request)
                        part.cache = self.passes.new_cache(prefilled, self._rows, length)
                    part.cache.fill(i, prefilled, start, start + len(prompt))
                    slot.after_prompt = row
                start += len(prompt)

    def _draw(self, slot: Slot, logits: np.ndarray) -> int:
        if not np.isfinite(logits).all():
            model = self.passes.model
            raise InputError(
                f"{model.name_or_path}: logits are not finite at token "
                f"{len(slot.tokens) + 1} after a prompt of {len(slot.request.prompt)}: the pruned "
                f"model overflows in {model.dtype}; set generation.dtype to a wider type"
            )
        return draw_token(logits, slot.request.sampling, slot.stream)

    def _decode(self, cache: SlotCache, slots: list[Slot | None]) -> np.ndarray:
        """Feed each slot its last token; logits (rows, vocabulary). Idle rows run along."""
        last = [slot.tokens[-1] if slot and slot.tokens else 0 for slot in slots]
        positions = [slot.position if slot and slot.tokens else 0 for slot in slots]
        if self._slots > 1:
            cache.used = cache_length(max(positions) + 1)
        cache.active = torch.tensor([bool(slot and slot.tokens) for slot in slots])
        return self.passes.usable(self.passes.step(cache, last, positions))

    def _length_for(self, request: Request) -> int:
        if self._slots > 1:
            return self._length
        return cache_length(len(request.prompt) + request.max_tokens)

    @property
    def _rows(self) -> int:
        """Rows of a step. Where tokens skip sublayers those without a request cost nothing, and a
        router's one output rounds the rows behind the last four of them in another way.
        """
        if self.passes.routing:
            return -(-self._slots // MIN_ROWS) * MIN_ROWS
        return max(self._slots, MIN_ROWS)
