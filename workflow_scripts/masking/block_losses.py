"""The loss of a model without one of its blocks, for each of several blocks, in one walk.

What comes before a block that is left out is the same for all later ones, so it is computed once. A
block runs on the hidden states of the whole model and on those of every model that lacks a block
before it:

    block        0  1  2  3  4
    whole        x  x  x           up to the last block that is left out of one
    without 1    x     x  x  x     (0 is that of the whole)
    without 2    x  x     x  x
    without 3    x  x  x     x

That is half of what as many forward passes take, and a little more. In memory are one block's
weights, the head, and one batch of samples' hidden states for each block that is left out. Weights
are read again for every batch, which takes little of the time: a block then runs on the batch many
times. On a GPU it runs so fast that several batches wait there for it, as many as half of its free
memory holds.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from workflow_scripts.config.methods.depth import block_runs
from workflow_scripts.masking.inputs import Inputs, check_losses
from workflow_scripts.models import blocks, checkpoints
from workflow_scripts.models.blocks import Decoder
from workflow_scripts.models.head import Head, open_head, token_losses

GPU_SHARE = 0.5  # of its free memory


@dataclass(frozen=True)
class Measured:
    """A model and the token ids, (samples, length), that its losses are measured on."""

    decoder: Decoder
    head: Head
    input_ids: Tensor

    def work(self, alive: int, places: Sequence[int]) -> float:
        """Products for a token that leaving out each of `places` of so many blocks takes."""
        return block_runs(alive, places) * self.block_weights + len(places) * self.head_weights

    @cached_property
    def block_weights(self) -> float:
        """Weights of the linears of a block, on the average."""
        checkpoint = self.decoder.checkpoint
        return sum(x.weights for x in checkpoints.linears(checkpoint)) / checkpoint.blocks

    @property
    def head_weights(self) -> int:
        return math.prod(self.decoder.checkpoint.shapes[checkpoints.EMBEDDING])


def open_measured(inputs: Inputs) -> Measured:
    """What a method measures losses with. Raises `InputError` where no token follows another."""
    check_losses(inputs)
    decoder = blocks.open_decoder(inputs.checkpoint, inputs.device)
    return Measured(decoder, open_head(decoder), inputs.calibration)


def nothing(work: float) -> None:
    """Tell nobody how far it is."""


@torch.no_grad()
def losses_without(
    measured: Measured,
    alive: Sequence[int],
    places: Sequence[int],
    done: Callable[[float], None] = nothing,
) -> dict[int, float]:
    """The mean loss of a token, in nats, of the blocks `alive` without that at each of `places`.

    By the number of the block that is left out. `alive` are such numbers in their order, `places`
    positions among them, ascending. `done` is told of the `work` that is done.
    """
    decoder, input_ids = measured.decoder, measured.input_ids
    samples, length = input_ids.shape
    batch = blocks.samples_per_batch(length, decoder.device)
    state = batch * length * decoder.checkpoint.shapes[checkpoints.EMBEDDING][1]
    waiting = _batches(decoder.device, len(places) * state * decoder.dtype.itemsize)
    losses = torch.empty(len(places), samples, dtype=torch.float64)
    for chunk in blocks.sample_spans(samples, waiting * batch):
        ids = input_ids[chunk]
        spans = blocks.sample_spans(len(ids), batch)

        def ran(work: float, share: float = len(ids) / samples) -> None:
            done(work * share)

        for number, ends in enumerate(_ends(measured, ids, spans, alive, places, ran)):
            found = [token_losses(measured.head, ends[span], ids[span]) for span in spans]
            losses[number, chunk] = torch.cat(found).double().sum(1)
            ran(measured.head_weights)
    means = losses.sum(1) / (samples * (length - 1))
    return {alive[place]: mean for place, mean in zip(places, means.tolist(), strict=True)}


def _ends(
    measured: Measured,
    input_ids: Tensor,
    spans: Sequence[slice],
    alive: Sequence[int],
    places: Sequence[int],
    ran: Callable[[float], None],
) -> list[Tensor]:
    """What the last block hands on without each of `places`, (samples, length, hidden) each."""
    decoder = measured.decoder
    whole, calls = blocks.embed_all(decoder, input_ids, spans)
    without: list[Tensor] = []
    for place, index in enumerate(alive):
        running = [*without]
        if place < places[-1]:
            running.append(whole)
        if place in places:
            without.append(whole if place == places[-1] else whole.clone())
        if not running:
            continue
        block = blocks.load_block(decoder, index)
        for state in running:
            for span in spans:
                before = state[span]
                state[span] = blocks.run_block(block, before, calls[len(before)][index])
            ran(measured.block_weights)
        del block  # before the next one is loaded
    return without


def _batches(device: str, size: int) -> int:
    """How many batches go along together, of `size` bytes each; results do not depend on it."""
    if device == "cpu":
        return 1
    return max(1, int(GPU_SHARE * torch.cuda.mem_get_info()[0] / size))
