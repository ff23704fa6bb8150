"""What comes behind the last block: final norm, language-model head, and the loss of tokens.

transformers runs its own forward pass around the blocks, as in `blocks`: scaling, soft caps and
whatever else the architecture does to logits come out as it means them.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from workflow_scripts.models import checkpoints
from workflow_scripts.models.architectures import tied_tensors
from workflow_scripts.models.blocks import Decoder

ROWS = 512  # whose logits are in memory at a time


class _Given(nn.Module):
    """Stands for the blocks: hands on what was given, whatever comes in."""

    def __init__(self, like: nn.Module) -> None:
        super().__init__()
        if hasattr(like, "attention_type"):
            self.attention_type = like.attention_type
        self.hidden: Tensor | None = None

    def forward(self, hidden: Tensor, *arguments: object, **options: object) -> Tensor:
        return self.hidden


@dataclass(frozen=True)
class Head:
    """A model whose blocks are one module that hands on hidden states that it is given."""

    model: PreTrainedModel
    blocks: _Given

    def logits(self, hidden: Tensor) -> Tensor:
        """What the model makes of hidden states behind its last block.

        Shape (..., hidden) -> (..., vocabulary), fp32. Gradients pass through to `hidden`.
        """
        rows = hidden.reshape(1, -1, hidden.shape[-1])
        self.blocks.hidden = rows
        logits = self.model(inputs_embeds=rows, use_cache=False).logits
        return logits.float().reshape(*hidden.shape[:-1], -1)


def open_head(decoder: Decoder, instead: Mapping[str, Tensor] = {}) -> Head:
    """The norm and the head of a decoder's model with their weights, on its device.

    `instead` has, by name, tensors in the place of the checkpoint's.
    """
    checkpoint, model = decoder.checkpoint, copy.deepcopy(decoder.model)
    tied = tied_tensors(checkpoint, model)
    given = _Given(model.model.layers[0])
    model.model.layers = nn.ModuleList([given])
    for name, parameter in list(model.named_parameters(remove_duplicate=False)):
        if name == checkpoints.EMBEDDING:  # never looked up
            continue
        stored = name if name in {*checkpoint.files, *instead} else tied[name]
        dtype = parameter.dtype
        if stored in instead:
            weight = instead[stored].to(decoder.device)
        else:
            weight = checkpoints.load_tensor(checkpoint, stored, decoder.device, dtype)
        owner, _, own = name.rpartition(".")
        loaded = nn.Parameter(weight.to(dtype), requires_grad=False)
        setattr(model.get_submodule(owner), own, loaded)
    return Head(model.eval(), given)


@torch.no_grad()
def token_losses(head: Head, hidden: Tensor, input_ids: Tensor) -> Tensor:
    """Cross-entropy of every token that follows another, (samples, length - 1), fp32, in nats.

    `hidden` is what the last block hands on, (samples, length, hidden); `input_ids` has shape
    (samples, length). The logits of a few rows are in memory at a time.
    """
    rows = hidden[:, :-1].reshape(-1, hidden.shape[-1])
    targets = input_ids[:, 1:].reshape(-1).long().to(rows.device)
    losses = [
        nn.functional.cross_entropy(head.logits(some), wanted, reduction="none")
        for some, wanted in zip(rows.split(ROWS), targets.split(ROWS), strict=True)
    ]
    return torch.cat(losses).reshape(len(input_ids), -1).cpu()
