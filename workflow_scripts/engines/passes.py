"""A model's forward passes as the transformers engine takes them: prompts, and decoding steps."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from workflow_scripts.engines.skipping import SkippingStep
from workflow_scripts.engines.slots import SlotCache
from workflow_scripts.errors import InputError
from workflow_scripts.models.experts import is_mixture, row_by_row
from workflow_scripts.models.routed import ROUTES, Decide
from workflow_scripts.models.routing import Routing

if TYPE_CHECKING:
    from transformers import DynamicCache, PreTrainedModel

# on GPUs: others split their sums by the length of the cache, which is not the request's alone
GPU_ATTENTION = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


class Passes:
    """The passes of a loaded model; `vocabulary` is the number of ids the tokenizer has.

    Where tokens skip sublayers, these are computed for numbers of rows among `sizes`.
    """

    def __init__(self, model: "PreTrainedModel", vocabulary: int) -> None:
        self.model, self.vocabulary = model.eval(), vocabulary
        self.device = next(model.parameters()).device
        self.is_mixture = is_mixture(model)
        self.routing: Routing | None = getattr(model, "routing", None)
        self.sizes: Sequence[int] = ()

    def prefill(self, prompts: list[tuple[int, ...]]) -> "tuple[np.ndarray, DynamicCache]":
        """Logits after each prompt, (prompts, vocabulary), and keys and values of all their tokens.

        Several prompts lie in one row, one after the other.
        """
        from transformers.cache_utils import DynamicLayer

        ids = torch.tensor([[token for prompt in prompts for token in prompt]], device=self.device)
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
        output = self.model(input_ids=ids, use_cache=True, **options)
        cache = output.past_key_values
        if any(type(layer) is not DynamicLayer for layer in cache.layers):
            raise InputError(
                f"model type {self.model.config.model_type!r}: the transformers engine decodes "
                "models with full attention in every block; this one keeps another kind of state"
            )
        return self.usable(output.logits[0]), cache

    def new_cache(self, prefilled: "DynamicCache", rows: int, length: int) -> SlotCache:
        """An empty cache for so many rows of so many tokens, of the kind of a prefilled one."""
        evicts = self.routing is not None and self.routing.keys == "evicted"
        return SlotCache(prefilled, rows, length, evicts)

    def step(
        self,
        cache: SlotCache,
        ids: list[int],
        positions: list[int],
        sizes: Sequence[int] = (),
        decide: Decide | None = None,
    ) -> torch.Tensor:
        """Logits (rows, ids of the embedding) after one more token in each row.

        Where tokens skip sublayers, in these `sizes` if some are given, and as `decide` says.
        """
        at = torch.tensor(positions, device=self.device)
        cache.positions = at
        visible = torch.arange(cache.used, device=self.device) <= at[:, None]
        kernels = sdpa_kernel(GPU_ATTENTION) if self.device.type == "cuda" else nullcontext()
        experts = row_by_row(self.model) if self.is_mixture else nullcontext()
        options: dict[str, Any] = {}
        if self.routing:
            routes = SkippingStep(cache, sizes or self.sizes, decide)
            options = {ROUTES: routes}
        with kernels, experts:
            output = self.model(
                input_ids=torch.tensor(ids, device=self.device)[:, None],
                position_ids=at[:, None],
                attention_mask=visible[:, None, None, :],
                past_key_values=cache,
                use_cache=True,
                **options,
            )
        if self.routing:
            cache.ran = routes.run(len(cache.keys))
        return output.logits[:, -1]

    def usable(self, logits: torch.Tensor) -> np.ndarray:
        """Logits of the ids that the tokenizer has."""
        return logits[..., : self.vocabulary].float().cpu().numpy()
