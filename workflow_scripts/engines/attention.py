"""Attention on a CPU without copies, and over several prompts that lie in one row.

Query heads of a group share keys and values. Where there is a mask, transformers repeats these for
every head before it calls PyTorch, whose kernel for CPUs needs no copies and computes the same bits
without. Prompts in one row see themselves alone: each is one call, the one that it would be if it
were by itself, so that only matrix products and what is done to each token run over all of them.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from transformers import PreTrainedModel

NAME = "grouped"  # among transformers' attention functions


def use_grouped_attention(model: "PreTrainedModel") -> bool:
    """Let a model that takes PyTorch's attention take this one; whether it does."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    if model.config._attn_implementation == NAME:
        return True
    if model.config._attn_implementation != "sdpa" or not model._supports_attention_backend:
        return False
    AttentionInterface.register(NAME, grouped_attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    head = model.get_output_embeddings()
    head.forward = partial(_one_token_at_a_time, head.forward)
    return True


def grouped_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    lengths: "Sequence[int] | None" = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers calls it: (rows, heads, tokens, head size) to (rows, tokens, ...).

    With `lengths` there is one row, in which prompts of these lengths follow each other.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    own = partial(sdpa_attention_forward, module, scaling=scaling, **options)
    is_biased = options.get("position_bias") is not None
    if is_biased or (attention_mask is None and lengths is None):
        return own(query, key, value, attention_mask=attention_mask)
    if lengths is not None:
        states = (part.split(lengths, dim=2) for part in (query, key, value))
        found = [own(*prompt, attention_mask=None)[0] for prompt in zip(*states, strict=True)]
        return torch.cat(found, dim=1), None
    found = scaled_dot_product_attention(
        query, key, value, attn_mask=attention_mask, scale=scaling, enable_gqa=True
    )
    return found.transpose(1, 2).contiguous(), None


def _one_token_at_a_time(forward: "Callable[[Tensor], Tensor]", hidden: Tensor) -> Tensor:
    """The last layer, for the tokens of a row as for a row with one token."""
    return torch.cat([forward(token) for token in hidden.split(1, dim=1)], dim=1)
