"""The transformers engine: continuous batching in slots of fixed shape.

What a request yields must not depend on its neighbours or on the size of the batch. So a prompt is
always prefilled alone, and the decoding step always has the same shape: `slots` rows over a
key-value cache of one length, empty rows included. Floating-point kernels choose their order of
summation by shape, not by value; what is left is that the number of rows, a row's place among them
or the length of the cache could change it. So a step of MIN_ROWS rows over a cache that is as
long as its request needs is the reference, and a larger shape is used only where its logits are
found to be the reference's, bit by bit, when the engine starts; short rows beside long ones
included. Experts of a mixture run for each row by itself (`batched_mm`), for how many rows are
routed to one depends on the neighbours. Where they are not, half as many
slots are tried, and so on; at the end requests are decoded one at a time in the reference shape.
"""

import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned
from workflow_scripts.errors import InputError
from workflow_scripts.generation.engines.interface import Completion, EngineSettings, Request
from workflow_scripts.generation.engines.sampling import UniformStream, draw_token
from workflow_scripts.models.checkpoints import open_checkpoint
from workflow_scripts.models.rope import rotate_rows_apart

if TYPE_CHECKING:
    from transformers import DynamicCache, PreTrainedModel

# with fewer, kernels for vectors step in, which sum in another order
MIN_ROWS = 4
CHECKED_PROMPT = 17
# on GPUs: others split their sums by the length of the cache, which is not the request's alone
GPU_ATTENTION = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def start(
    model: Path, pruned: Pruned, settings: EngineSettings, vocabulary: int, longest: int
) -> "TransformersEngine":
    """Load the dense checkpoint, prune it in memory and put it behind the engine."""
    from workflow_scripts.models.architectures import load_model

    torch.set_num_threads(settings.threads)
    checkpoint = open_checkpoint(model)
    loaded = load_model(checkpoint, getattr(torch, settings.dtype))
    apply_pruned(loaded, pruned, checkpoint)
    loaded.to(settings.device)
    return TransformersEngine(loaded, vocabulary, settings.batch_size, longest)


class SlotCache:
    """Keys and values of all slots, (slots, KV heads, length, head size) for every block.

    It stands where transformers expects its own cache: `update` writes the new token of each row at
    that row's position, which a shared position per batch could not.
    """

    is_compileable = False

    def __init__(self, like: "DynamicCache", slots: int, length: int) -> None:
        def empty(state: torch.Tensor) -> torch.Tensor:
            return state.new_zeros(slots, state.shape[1], length, state.shape[3])

        self.keys = [empty(layer.keys) for layer in like.layers]
        self.values = [empty(layer.values) for layer in like.layers]
        self.positions = torch.zeros(slots, dtype=torch.long, device=self.keys[0].device)
        self._rows = torch.arange(slots, device=self.positions.device)

    def fill(self, slot: int, prefilled: "DynamicCache") -> None:
        """Put a prefilled prompt into a slot."""
        for i, layer in enumerate(prefilled.layers):
            self.keys[i][slot, :, : layer.keys.shape[2]] = layer.keys[0]
            self.values[i][slot, :, : layer.values.shape[2]] = layer.values[0]

    def repeat(self, prefilled: "DynamicCache", tokens: int) -> None:
        """Put a prefilled prompt into every slot, over and over, until there are `tokens`."""
        for i, layer in enumerate(prefilled.layers):
            places = torch.arange(tokens, device=layer.keys.device) % layer.keys.shape[2]
            self.keys[i][:, :, :tokens] = layer.keys[:, :, places]
            self.values[i][:, :, :tokens] = layer.values[:, :, places]

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, block: int, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.keys[block][self._rows, :, self.positions] = keys[:, :, 0]
        self.values[block][self._rows, :, self.positions] = values[:, :, 0]
        return self.keys[block], self.values[block]

    def get_seq_length(self, *_: object) -> int:
        return 0


@dataclass
class Slot:
    """One request in the making."""

    request: Request
    stream: UniformStream
    tokens: list[int] = field(default_factory=list)


class TransformersEngine:
    """Decodes requests with a loaded model; `vocabulary` is the number of ids the tokenizer has.

    Logits of ids beyond the vocabulary (padding rows of the embedding) are never drawn. `slots`
    requests are decoded together; `longest` is the most tokens that one of them may come to.
    """

    def __init__(self, model: "PreTrainedModel", vocabulary: int, slots: int, longest: int) -> None:
        self._model = model.eval()
        rotate_rows_apart(model)
        self._vocabulary = vocabulary
        self._device = next(model.parameters()).device
        self._longest = longest
        self._length = _cache_length(longest)
        self._slots = slots
        while self._slots > 1 and not self._shape_is_like_the_reference():
            self._slots //= 2
        if self._slots < slots:
            several = f"{self._slots} requests" if self._slots > 1 else "one request"
            print(
                "engine: on this machine larger batches round differently; "
                f"decoding {several} at a time",
                file=sys.stderr,
            )

    @torch.inference_mode()
    def generate(self, queue: deque[Request]) -> Iterator[tuple[Request, Completion]]:
        """Yield every request of the queue with its completion; see `interface.py`."""
        cache: SlotCache | None = None
        active: list[Slot | None] = [None] * self._rows
        while queue or any(active):
            for i in range(self._slots):
                if active[i] is not None or not queue:
                    continue
                request = queue.popleft()
                logits, prefilled = self._prefill(request.prompt)
                if cache is None or self._slots == 1:
                    cache = SlotCache(prefilled, self._rows, self._length_for(request))
                cache.fill(i, prefilled)
                active[i] = Slot(request, UniformStream(request.seed))
                yield from self._advance(active, i, logits)
            if cache is None or not any(active):
                continue
            step = self._decode(cache, active)
            for i in range(self._slots):
                yield from self._advance(active, i, step[i])

    def _advance(
        self, active: list[Slot | None], i: int, logits: np.ndarray
    ) -> Iterator[tuple[Request, Completion]]:
        """Draw the next token of a slot; free the slot and yield where that ends its request."""
        slot = active[i]
        if slot is None:
            return
        if not np.isfinite(logits).all():
            raise InputError(
                f"{self._model.name_or_path}: logits are not finite at token "
                f"{len(slot.tokens) + 1} after a prompt of {len(slot.request.prompt)}: the pruned "
                f"model overflows in {self._model.dtype}; set generation.dtype to a wider type"
            )
        token = draw_token(logits, slot.request.sampling, slot.stream)
        stopped = token in slot.request.stop
        if not stopped:
            slot.tokens.append(token)
        if stopped or len(slot.tokens) == slot.request.max_tokens:
            active[i] = None
            yield slot.request, Completion(tuple(slot.tokens), token if stopped else None)

    def _prefill(self, prompt: tuple[int, ...]) -> "tuple[np.ndarray, DynamicCache]":
        """Logits after a prompt, (vocabulary,), and its keys and values; alone in its batch."""
        from transformers.cache_utils import DynamicLayer

        ids = torch.tensor([prompt], device=self._device)
        output = self._model(input_ids=ids, use_cache=True, logits_to_keep=1)
        cache = output.past_key_values
        if any(type(layer) is not DynamicLayer for layer in cache.layers):
            raise InputError(
                f"model type {self._model.config.model_type!r}: the transformers engine decodes "
                "models with full attention in every block; this one keeps another kind of state"
            )
        return self._usable(output.logits[0, -1]), cache

    def _decode(self, cache: SlotCache, active: list[Slot | None]) -> np.ndarray:
        """Feed each slot its last token; logits (slots, vocabulary). Idle rows run along."""
        last = [slot.tokens[-1] if slot else 0 for slot in active]
        positions = [len(s.request.prompt) + len(s.tokens) - 1 if s else 0 for s in active]
        return self._usable(self._step(cache, last, positions))

    def _step(self, cache: SlotCache, ids: list[int], positions: list[int]) -> torch.Tensor:
        at = torch.tensor(positions, device=self._device)
        cache.positions = at
        columns = torch.arange(cache.keys[0].shape[2], device=self._device)
        visible = (columns <= at[:, None])[:, None, None, :]
        kernels = sdpa_kernel(GPU_ATTENTION) if self._device.type == "cuda" else nullcontext()
        with kernels, _experts_row_by_row(self._model):
            output = self._model(
                input_ids=torch.tensor(ids, device=self._device)[:, None],
                position_ids=at[:, None],
                attention_mask=visible,
                past_key_values=cache,
                use_cache=True,
            )
        return output.logits[:, -1]

    def _usable(self, logits: torch.Tensor) -> np.ndarray:
        return logits[..., : self._vocabulary].float().cpu().numpy()

    def _length_for(self, request: Request) -> int:
        if self._slots > 1:
            return self._length
        return _cache_length(len(request.prompt) + request.max_tokens)

    @property
    def _rows(self) -> int:
        return max(self._slots, MIN_ROWS)

    @torch.inference_mode()
    def _shape_is_like_the_reference(self) -> bool:
        """Whether every row of a step has, bit by bit, the logits of the reference's first.

        For references of every length, full but for a token: the order in which attention sums
        over a cache shows only where much of it is visible.
        """
        prompt = tuple((7 * i + 3) % self._vocabulary for i in range(CHECKED_PROMPT))
        _, prefilled = self._prefill(prompt)
        used = SlotCache(prefilled, self._rows, self._length)
        length = _cache_length(1)
        while length <= self._length:
            reference = SlotCache(prefilled, MIN_ROWS, length)
            expected, found = (
                self._checked_step(cache, prefilled, length - 2) for cache in (reference, used)
            )
            if not torch.equal(found, expected[:1].expand_as(found)):
                return False
            length *= 2
        return self._rows_of_two_lengths_are_apart(prefilled, used)

    def _rows_of_two_lengths_are_apart(self, prefilled: "DynamicCache", used: SlotCache) -> bool:
        """Whether short rows beside rows of the longest sequence have the logits that both have by
        themselves: the frequencies of some rotary embeddings change with the length.
        """
        ends = 1, max(self._longest - 1, 1)
        alone = []
        for tokens in ends:
            reference = SlotCache(prefilled, MIN_ROWS, _cache_length(tokens + 1))
            alone.append(self._checked_step(reference, prefilled, tokens)[0])
        used.repeat(prefilled, ends[1])
        mixed = self._step(used, [5] * self._rows, [ends[row % 2] for row in range(self._rows)])
        return all(torch.equal(row, alone[number % 2]) for number, row in enumerate(mixed))

    def _checked_step(
        self, cache: SlotCache, prefilled: "DynamicCache", tokens: int
    ) -> torch.Tensor:
        """Logits of all rows with a cache of `tokens`: those of a prompt, over and over."""
        cache.repeat(prefilled, tokens)
        rows = len(cache.positions)
        return self._step(cache, [5] * rows, [tokens] * rows)


@contextmanager
def _experts_row_by_row(model: "PreTrainedModel") -> Iterator[None]:
    """Have every row multiplied with its own experts' weights, in products of one shape."""
    usual = model.config._experts_implementation
    if usual is not None:
        model.config._experts_implementation = "batched_mm"
    try:
        yield
    finally:
        model.config._experts_implementation = usual


def _cache_length(tokens: int) -> int:
    """The power of two, at least 64, that holds `tokens`: few shapes, chosen by need alone."""
    return max(64, 1 << (tokens - 1).bit_length())
