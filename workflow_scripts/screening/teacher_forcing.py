"""A variant beside the dense model on the same tokens, each predicted from those before it.

Both models walk together, block by block: a block is loaded, runs as it is on the dense model's
hidden states, is pruned, and runs on the variant's. So weights are read once for both, and there is
nothing of the dense model to be kept between variants but its traces. In memory are one block, two
heads at most, both models' hidden states of some sequences, and the logits of a few tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.artefacts.pruned_blocks import outer_tensors, prune_block
from workflow_scripts.models import blocks
from workflow_scripts.models.blocks import Decoder
from workflow_scripts.models.checkpoints import EMBEDDING
from workflow_scripts.models.head import ROWS, Head, open_head
from workflow_scripts.pruning.fitness import divergences

# by device: tokens of sequences that walk together, for which all blocks are read once
WALKING = {device: 4 * tokens for device, tokens in blocks.BATCH_TOKENS.items()}


class Compared(NamedTuple):
    """Of each token: KL(dense || variant) and loss in nats, whether the likeliest one is the same.

    All three on the CPU, of shape (tokens,), in float64.
    """

    kl: Tensor
    agreement: Tensor
    loss: Tensor


@dataclass(frozen=True)
class Both:
    """The dense model and a variant of it, to be walked."""

    decoder: Decoder
    pruned: Pruned
    head: Head
    pruned_head: Head
    outer: Mapping[str, Tensor]


def open_both(decoder: Decoder, pruned: Pruned) -> Both:
    """Raises `InputError` where the variant does not fit the model."""
    outer, head = outer_tensors(decoder.checkpoint, pruned), open_head(decoder)
    return Both(decoder, pruned, head, open_head(decoder, outer) if outer else head, outer)


@torch.no_grad()
def last_states(both: Both, sequences: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """What the last block hands on of token ids (1, length): of the dense model, of the variant.

    Each of shape (1, length, hidden); a sequence goes through a block by itself.
    """
    decoder, pruned = both.decoder, both.pruned
    embedding = both.outer.get(EMBEDDING)
    dense, ours, calls = [], [], {}
    for ids in sequences:
        hidden, of_blocks = blocks.embed(decoder, ids)
        calls.setdefault(ids.shape[1], of_blocks)
        dense.append(hidden)
        own = hidden if embedding is None else blocks.embed(decoder, ids, embedding)[0]
        ours.append(own)

    def run(block: nn.Module, states: list[Tensor], index: int) -> None:
        for number, hidden in enumerate(states):
            states[number] = blocks.run_block(block, hidden, calls[hidden.shape[1]][index])

    for index in range(decoder.checkpoint.blocks):
        block = blocks.load_block(decoder, index)
        run(block, dense, index)
        if index in pruned.record.kept_blocks:
            prune_block(block, decoder, pruned, index)
            run(block, ours, index)
        del block  # before the next one is loaded
    return dense, ours


@torch.no_grad()
def compared(both: Both, dense: Tensor, ours: Tensor, ids: Tensor, places: Tensor) -> Compared:
    """The tokens at `places` of a sequence, (tokens,), none of them the first.

    `dense` and `ours` are what the last block hands on, (1, length, hidden); `ids` is (1, length).
    """
    found: list[Tensor] = []
    wanted = ids[0].long()[places].to(dense.device)
    before = (places - 1).to(dense.device)
    for some, targets in zip(before.split(ROWS), wanted.split(ROWS), strict=True):
        p = both.head.logits(dense[0, some]).log_softmax(-1)
        q = both.pruned_head.logits(ours[0, some]).log_softmax(-1)
        same = p.argmax(-1) == q.argmax(-1)
        loss = -q.gather(-1, targets[:, None]).squeeze(-1)
        found.append(torch.stack([divergences(p, q), same, loss]).double().cpu())
    return Compared(*torch.cat(found, dim=1))
