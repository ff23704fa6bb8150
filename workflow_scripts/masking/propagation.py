"""Pruning in sequence: a block is pruned by what the pruned blocks before it hand down.

All linears of a block are decided on from one pass of the block as it was, which ends where the
last of them has its inputs; then the block runs again, pruned, to give what enters the next one.
One block's weights, the hidden states of the whole calibration set and what is gathered of the
block's inputs are in memory: fp32 on the CPU, bf16 on a GPU. Decisions are on the weights as the
checkpoint stores them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import torch
from torch import Tensor

from workflow_scripts.artefacts.masks import PrunedLinear
from workflow_scripts.models import blocks, checkpoints
from workflow_scripts.models.activations import (
    AllSeen,
    InputSums,
    Sums,
    finite_fp32,
    note_unreached,
    watched,
)
from workflow_scripts.models.checkpoints import Checkpoint, Linear
from workflow_scripts.models.tensors import DTYPES


@torch.no_grad()
def prune_in_sequence(
    checkpoint: Checkpoint,
    linears: Sequence[Linear],
    input_ids: Tensor,
    prune: Callable[[Linear, Tensor, Sums], PrunedLinear],
    sums: Callable[[int, torch.device], Sums],
    device: str = "cpu",
    batch: int | None = None,
) -> Iterator[PrunedLinear]:
    """Decide on `linears` (in the order of the blocks) one by one; yields what becomes of each.

    `prune` is given a linear, its weight and the sums of its inputs over all tokens of `input_ids`
    (samples, length), as `watched` gathers them in what `sums` makes, all on `device`; it says
    which weights stay, and to what the weight changes, if it does. `batch` samples go through a
    block at a time; it bounds memory and matters to no more than rounding.
    """
    decoder = blocks.open_decoder(checkpoint, device)
    batch = batch or blocks.samples_per_batch(input_ids.shape[1], device)
    spans = blocks.sample_spans(len(input_ids), batch)
    hidden, calls = blocks.embed_all(decoder, input_ids, spans)
    last = max(linear.block for linear in linears)

    def prune_block(index: int) -> Iterator[PrunedLinear]:
        here = {linear.module: linear for linear in linears if linear.block == index}
        block = blocks.load_block(decoder, index)

        def outputs(span: slice) -> Tensor:
            before = hidden[span]
            return blocks.run_block(block, before, calls[len(before)][index])

        with watched(block, tuple(here), stop=True, sums=sums) as seen:
            for span in spans:
                with suppress(AllSeen):
                    outputs(span)
        note_unreached({linear.name: seen[module].tokens for module, linear in here.items()})
        for module, linear in here.items():
            weight = block.get_submodule(module).weight
            stored = weight
            rounded = DTYPES[checkpoint.dtypes[linear.name]] is not weight.dtype
            if rounded and weight.dtype is not torch.float32:  # for the forward pass
                stored = checkpoints.load_tensor(checkpoint, linear.name, device)
            found = prune(linear, stored, seen.pop(module))
            if linear.name in found.changed:
                weight.copy_(found.changed[linear.name])
            weight.mul_(found.keep)  # all are finite, and it is many times faster than to fill
            changed = {name: tensor.cpu() for name, tensor in found.changed.items()}
            yield PrunedLinear(linear.name, found.keep.cpu(), changed)
        if index < last:  # nothing is asked of what comes behind the last one
            for span in spans:
                hidden[span] = outputs(span)

    for index in range(last + 1):
        yield from prune_block(index)  # with which its block leaves memory before the next comes


def keep_in_sequence(
    checkpoint: Checkpoint,
    linears: Sequence[Linear],
    input_ids: Tensor,
    keep: Callable[[Linear, Tensor, Tensor], Tensor],
    device: str = "cpu",
    batch: int | None = None,
) -> Iterator[PrunedLinear]:
    """As `prune_in_sequence`, where sums of squares decide, and no weight changes.

    `keep` is given a linear, its weight and the sum of squares of its inputs, and says which
    weights stay. Raises `InputError` naming the linear that activations enter that are not finite.
    """

    def prune(linear: Linear, weight: Tensor, seen: InputSums) -> PrunedLinear:
        squares = finite_fp32(seen.sum_squares, linear.name).to(device)
        return PrunedLinear(linear.name, keep(linear, weight, squares))

    return prune_in_sequence(checkpoint, linears, input_ids, prune, InputSums, device, batch)
