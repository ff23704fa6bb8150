"""A decoder walked block by block, hidden states in and out, with one block's weights in memory.

    decoder = open_decoder(open_checkpoint(folder))
    hidden, calls = embed(decoder, input_ids)
    for index, call in enumerate(calls):
        hidden = run_block(load_block(decoder, index), hidden, call)

transformers builds the blocks and says how each is called. The model is made without weights, its
own forward pass runs over blocks that only note their arguments (attention mask, rotary embedding,
whatever else the architecture hands down), and the noted calls are then made for real. So embedding
multipliers, sliding windows and layer types come out as transformers means them, and no
architecture is known by name. The attention implementation is the one transformers picks for the
model, `sdpa` wherever it can: what a user gets from `from_pretrained`, and its memory grows with
the length of a sample and not with its square. On the CPU everything is fp32, on a GPU bf16; fp16,
which overflows on the massive activations of some models, is not used.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from workflow_scripts.errors import InputError
from workflow_scripts.models import checkpoints
from workflow_scripts.models.architectures import empty_model
from workflow_scripts.models.checkpoints import Checkpoint
from workflow_scripts.models.experts import experts_place, separate_experts, stored_name

# by device: what blocks and hidden states are computed in
DTYPES = {"cpu": torch.float32, "cuda": torch.bfloat16}
# by device: enough tokens for full-speed matrix products, few enough for any machine
BATCH_TOKENS = {"cpu": 2048, "cuda": 16384}


@dataclass(frozen=True)
class Decoder:
    """A checkpoint, and its model as transformers builds it, without weights.

    Blocks and hidden states are on `device`, in `dtype`.
    """

    checkpoint: Checkpoint
    model: PreTrainedModel
    device: str
    dtype: torch.dtype


@dataclass(frozen=True)
class Call:
    """What transformers passes to one block beside the hidden states, for one shape of batch."""

    arguments: tuple[Any, ...]
    options: Mapping[str, Any]


def open_decoder(
    checkpoint: Checkpoint, device: str = "cpu", dtype: torch.dtype | None = None
) -> Decoder:
    """Build a checkpoint's model without weights, for a device (`cpu`, `cuda`).

    Without a `dtype` it is that of the device. Raises `InputError` for an architecture whose blocks
    are not what `checkpoints.linears` looks for, and where `empty_model` does.
    """
    dtype = dtype or DTYPES[device]
    checkpoints.linears(checkpoint)
    model = empty_model(checkpoint, dtype)
    _fill_buffers(model, device)
    return Decoder(checkpoint, model.eval(), device, dtype)


@torch.no_grad()
def _fill_buffers(model: PreTrainedModel, device: str) -> None:
    """Compute the buffers that no checkpoint holds (rotary frequencies, scales), then move them.

    As `from_pretrained` does: memory first, then the model's own initialisation of the modules that
    own them; on the CPU, so that they are the same for every device.
    """
    for name, buffer in model.named_buffers():
        owner = model.get_submodule(name.rpartition(".")[0])
        owner._buffers[name.rpartition(".")[2]] = torch.empty_like(buffer, device="cpu")
    for module in model.modules():
        if module._buffers:
            model._init_weights(module)
            for name, buffer in module._buffers.items():
                module._buffers[name] = buffer.to(device)


def load_block(decoder: Decoder, index: int) -> nn.Module:
    """One block with its weights; every linear is a module called as in the checkpoint."""
    layer = decoder.model.model.layers[index]
    block = copy.deepcopy(layer, {id(decoder.model.config): decoder.model.config})
    place = experts_place(decoder.checkpoint)
    separate_experts(block, place)
    weights = checkpoints.load_block(decoder.checkpoint, index, decoder.dtype, decoder.device)
    prefix = checkpoints.block_prefix(index)
    block.load_state_dict(
        {name: weights[prefix + stored_name(name, place)] for name in block.state_dict()},
        assign=True,
    )
    if place:  # where the checkpoint has them
        setattr(block, place.partition(".")[0], block.mlp)
    return block


def embed(
    decoder: Decoder, input_ids: Tensor, instead: Tensor | None = None
) -> tuple[Tensor, tuple[Call, ...]]:
    """What enters block 0 for token ids of shape (batch, length), and the call of every block.

    The hidden states have shape (batch, length, hidden). Calls depend on the shape of the ids only.
    Only the embedding rows of the tokens that occur are read, or those of `instead`, of shape
    (tokens of the model, hidden or fewer). Raises `InputError` for a token that the model does not
    have.
    """
    tokens, places = input_ids.long().unique(return_inverse=True)
    rows = decoder.checkpoint.shapes[checkpoints.EMBEDDING][0]
    if tokens[0] < 0 or tokens[-1] >= rows:
        wrong = int(tokens[0] if tokens[0] < 0 else tokens[-1])
        raise InputError(f"token id {wrong} is not one of the model's {rows} tokens")
    if instead is None:
        weight = checkpoints.load_rows(decoder.checkpoint, checkpoints.EMBEDDING, tokens.tolist())
    else:
        weight = instead[tokens]
    embedding = copy.deepcopy(decoder.model.get_input_embeddings())
    embedding.weight = nn.Parameter(weight.to(decoder.device, decoder.dtype), requires_grad=False)
    embedding.padding_idx = None  # its row has moved; it matters to gradients only
    base = decoder.model.model
    with _noted_calls(base) as noted:
        base(inputs_embeds=embedding(places.to(decoder.device)), use_cache=False)
    return noted[0][0], tuple(call for _, call in noted)


def samples_per_batch(length: int, device: str = "cpu") -> int:
    """How many samples of `length` tokens go through a block at a time; at least one."""
    return max(1, BATCH_TOKENS[device] // length)


def sample_spans(samples: int, batch: int) -> list[slice]:
    """All samples, `batch` of them in each span; the last may hold fewer."""
    return [slice(start, start + batch) for start in range(0, samples, batch)]


def embed_all(
    decoder: Decoder, input_ids: Tensor, spans: Sequence[slice]
) -> tuple[Tensor, dict[int, tuple[Call, ...]]]:
    """What enters block 0, (samples, length, hidden), and the calls by number of samples.

    The last span may hold fewer samples than the others, and calls differ with the number.
    """
    first, calls = embed(decoder, input_ids[spans[0]])
    hidden = first.new_empty(*input_ids.shape, first.shape[-1])
    hidden[spans[0]] = first
    by_samples = {len(first): calls}
    for span in spans[1:]:
        hidden[span], calls = embed(decoder, input_ids[span])
        by_samples.setdefault(len(hidden[span]), calls)
    return hidden, by_samples


@contextmanager
def _noted_calls(base: nn.Module) -> Iterator[list[tuple[Tensor, Call]]]:
    """Let the blocks of a model note the calls made to them and pass their input on.

    The modules behind them that hold weights (the final norm) pass their input on as well.
    """
    noted: list[tuple[Tensor, Call]] = []

    def note(hidden: Tensor, *arguments: Any, **options: Any) -> Tensor:
        noted.append((hidden, Call(arguments, options)))
        return hidden

    after = [
        child
        for child in base.children()
        if child is not base.layers and any(parameter.is_meta for parameter in child.parameters())
    ]
    try:
        for layer in base.layers:
            layer.forward = note
        for child in after:
            child.forward = lambda hidden: hidden
        yield noted
    finally:
        for module in (*base.layers, *after):
            del module.forward


def run_block(block: nn.Module, hidden: Tensor, call: Call) -> Tensor:
    """Run a block on hidden states of shape (batch, length, hidden); the result has that shape."""
    return block(hidden, *call.arguments, **call.options)
