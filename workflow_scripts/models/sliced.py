"""A model with narrower hidden states than the dense one: SliceGPT's (arXiv 2401.15024).

RMSNorm without its scale commutes with rotations. So hidden states can be in any orthonormal basis
Q, another one at each place, if the scales are folded into the linears behind the norms, linears
that read hidden states become W·Q, those that write them Qᵀ·W, and an adapter takes the residual
from a basis Q to the next one, Q': (Q')ᵀ·Q. Where only the first `width` columns of each Q are
taken, all of these are narrower. Norms still divide by the dense width: what was cut counts as 0.

The last block hands on hidden states of the dense basis and width, so the final norm and the head
are those of the dense model: only a head that was the embedding has to be a tensor of its own.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import EMBEDDING, HEAD, Checkpoint

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# part of a block -> the norm before it and the linears behind that
READERS = {
    "self_attn": ("input_layernorm", ("q", "k", "v")),
    "mlp": ("post_attention_layernorm", ("gate", "up")),
}
ADAPTERS = ("attention_adapter", "mlp_adapter")


def sliced_width(hidden: int, slicing: float, round_to: int) -> int:
    """What is left of `hidden` without the share `slicing`, down to a multiple of `round_to`."""
    left = math.floor((1 - slicing) * hidden + 1e-6)  # 0.1 * 1280 is 127.99...
    return left - left % round_to


def sliced_shapes(checkpoint: Checkpoint, width: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors that differ in a sliced model or that the dense one lacks, by name."""
    tokens, hidden = checkpoint.shapes[EMBEDDING]
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (tokens, width)}
    if HEAD not in checkpoint.shapes:
        shapes[HEAD] = (tokens, hidden)
    last = checkpoint.blocks - 1
    for linear in checkpoints.linears(checkpoint):
        outputs, inputs = linear.shape
        if linear.role not in ("o", "down"):
            shapes[linear.name] = (outputs, width)
        elif (linear.role, linear.block) != ("down", last):
            shapes[linear.name] = (width, inputs)
            if linear.bias in checkpoint.shapes:
                shapes[linear.bias] = (width,)
    for block in range(checkpoint.blocks):
        attention, mlp = (f"{checkpoints.block_prefix(block)}{name}.weight" for name in ADAPTERS)
        shapes[attention] = (width, width)
        shapes[mlp] = (hidden if block == last else width, width)
    return shapes


def folded_scales(checkpoint: Checkpoint) -> list[str]:
    """The tensors of the dense model that a sliced one lacks: the scales of the blocks' norms."""
    prefixes = map(checkpoints.block_prefix, range(checkpoint.blocks))
    return [f"{prefix}{norm}.weight" for prefix in prefixes for norm, _ in READERS.values()]


class ScaleFreeNorm(nn.Module):
    """RMSNorm without a scale over `width` features, of which some are not there and count as 0."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.width, self.eps = width, eps

    def forward(self, hidden: Tensor) -> Tensor:
        wide = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
        squares = wide.pow(2).sum(-1, keepdim=True) / self.width
        return (wide * torch.rsqrt(squares + self.eps)).to(hidden.dtype)


def slice_block(block: nn.Module, config: Any) -> None:
    """Give a stock block norms without scales and adapters, whose weights are still to be set."""
    for norm, _ in READERS.values():
        setattr(block, norm, ScaleFreeNorm(config.hidden_size, config.rms_norm_eps))
    for name in ADAPTERS:
        setattr(block, name, nn.Linear(1, 1, bias=False, device="meta"))


def after_attention(block: nn.Module, hidden: Tensor, **options: Any) -> Tensor:
    """Hidden states behind the attention of a sliced block, (..., width), in the next basis."""
    added, _ = block.self_attn(hidden_states=block.input_layernorm(hidden), **options)
    return block.attention_adapter(hidden) + added


def after_mlp(block: nn.Module, hidden: Tensor) -> Tensor:
    """Hidden states behind the MLP of a sliced block, (..., width), in the next basis."""
    return block.mlp_adapter(hidden) + block.mlp(block.post_attention_layernorm(hidden))


def run_sliced(block: nn.Module, config: Any) -> None:
    """Slice a stock block and have a call of it run the sliced one."""
    slice_block(block, config)
    block.forward = partial(_forward, block)


def _forward(block: nn.Module, hidden_states: Tensor, **options: Any) -> Tensor:
    return after_mlp(block, after_attention(block, hidden_states, **options))


def set_tensor(module: nn.Module, name: str, tensor: Tensor) -> None:
    """Put a weight or bias, of whatever shape, in the place of the one below `module`."""
    place, _, attribute = name.rpartition(".")
    owner = module.get_submodule(place)
    setattr(owner, attribute, nn.Parameter(tensor, requires_grad=False))
    if attribute == "weight" and isinstance(owner, nn.Linear):
        owner.out_features, owner.in_features = tensor.shape
    elif attribute == "weight" and isinstance(owner, nn.Embedding):
        owner.embedding_dim = tensor.shape[1]


def slice_model(model: "PreTrainedModel", tensors: Mapping[str, Tensor]) -> None:
    """Turn a loaded dense model in place into a sliced one; `tensors` as `sliced_shapes` has them.

    Their dtype becomes that of the model. `config.hidden_size` stays the dense width.
    """
    like = model.get_input_embeddings().weight
    for block in model.model.layers:
        run_sliced(block, model.config)
    for name, tensor in tensors.items():
        set_tensor(model, name, tensor.to(like.device, like.dtype))
    model.config.tie_word_embeddings = False
