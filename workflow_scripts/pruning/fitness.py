"""How far a model that is pruned in memory is from the dense one, over and over, on few tokens.

In memory are all blocks and the head of the model (fp32 on the CPU, bf16 on a GPU), the hidden
states of the tokens three times, and one block's weights again, as pruned. Logits are never kept:
the head makes those of a few tokens at a time from hidden states, of the dense model too.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from workflow_scripts.models import blocks
from workflow_scripts.models.blocks import Call, Decoder
from workflow_scripts.models.checkpoints import Checkpoint
from workflow_scripts.models.head import ROWS, Head, open_head, token_losses

# what a block's linears have instead of their weights, by module; None: the block is not there
Change = Callable[[int], Mapping[str, Tensor] | None]


@dataclass(frozen=True)
class HeldModel:
    """A model with all of its weights in memory, block by block."""

    decoder: Decoder
    blocks: Sequence[nn.Module]
    head: Head


@dataclass(frozen=True)
class Tokens:
    """Token ids (samples, length), what enters block 0 of them, and how blocks are called."""

    input_ids: Tensor
    spans: Sequence[slice]
    hidden: Tensor
    calls: Mapping[int, Sequence[Call]]


def hold(checkpoint: Checkpoint, device: str = "cpu") -> HeldModel:
    """Load a whole model. Raises `InputError` as `open_decoder` does."""
    decoder = blocks.open_decoder(checkpoint, device)
    loaded = [blocks.load_block(decoder, index) for index in range(checkpoint.blocks)]
    return HeldModel(decoder, [block.requires_grad_(False) for block in loaded], open_head(decoder))


def drawn(input_ids: Tensor, tokens: int, draw: random.Random) -> Tensor:
    """About so many tokens of whole samples that are drawn; of one sample's beginning if fewer.

    Shape (samples, length) -> (fewer samples, length); all of them where there are no more.
    """
    samples, length = input_ids.shape
    count = min(samples, max(1, tokens // length))
    return input_ids[sorted(draw.sample(range(samples), count)), :tokens]


@torch.no_grad()
def embedded(model: HeldModel, input_ids: Tensor) -> Tokens:
    """Tokens ready to run. Raises `InputError` for one that the model does not have."""
    batch = blocks.samples_per_batch(input_ids.shape[1], model.decoder.device)
    spans = blocks.sample_spans(len(input_ids), batch)
    return Tokens(input_ids, spans, *blocks.embed_all(model.decoder, input_ids, spans))


@torch.no_grad()
def outputs(model: HeldModel, tokens: Tokens, change: Change = lambda block: {}) -> Tensor:
    """What the last block hands on, (samples, length, hidden), where blocks are changed."""
    hidden = tokens.hidden.clone()
    for index, block in enumerate(model.blocks):
        weights = change(index)
        if weights is None:
            continue
        with _replaced(block, weights):
            for span in tokens.spans:
                before = hidden[span]
                hidden[span] = blocks.run_block(block, before, tokens.calls[len(before)][index])
    return hidden


@contextmanager
def _replaced(block: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Let a block's linears have other weights, by module, while the context lasts."""
    parameters = {module: block.get_submodule(module).weight for module in weights}
    own = {module: parameter.data for module, parameter in parameters.items()}
    try:
        for module, parameter in parameters.items():
            parameter.data = weights[module]
        yield
    finally:
        for module, parameter in parameters.items():
            parameter.data = own[module]


@torch.no_grad()
def divergence(head: Head, dense: Tensor, hidden: Tensor) -> float:
    """Mean over tokens of KL(p || q), in nats, p of the dense model's logits and q of the others.

    Both are hidden states behind the last block, (samples, length, hidden).
    """
    total = 0.0
    for ours, theirs in zip(_rows(dense), _rows(hidden), strict=True):
        p, q = head.logits(ours).log_softmax(-1), head.logits(theirs).log_softmax(-1)
        total += divergences(p, q).sum(dtype=torch.float64).item()
    return total / (dense.shape[0] * dense.shape[1])


def divergences(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) of each token, in nats, from log-probabilities: (..., vocabulary) -> (...)."""
    return (p.exp() * (p - q)).sum(-1)


def mean_loss(head: Head, hidden: Tensor, input_ids: Tensor) -> float:
    """Mean cross-entropy of the tokens that follow another, in nats: the log of the perplexity."""
    return token_losses(head, hidden, input_ids).mean(dtype=torch.float64).item()


def _rows(hidden: Tensor) -> Sequence[Tensor]:
    return hidden.reshape(-1, hidden.shape[-1]).split(ROWS)
