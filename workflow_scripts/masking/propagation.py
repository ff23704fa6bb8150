"""Wanda as it was published: a block is pruned by what the pruned blocks before it hand down.

All linears of a block are scored from one pass of the block as it was, which ends where the last of
them has its inputs; then the block runs again, pruned, to give what enters the next one. One
block's weights and the hidden states of the whole calibration set are in memory: fp32 on the CPU,
bf16 on a GPU. Scores are those of the weights as the checkpoint stores them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import torch
from torch import Tensor

from workflow_scripts.artefacts.masks import PrunedLinear
from workflow_scripts.models import blocks, checkpoints
from workflow_scripts.models.activations import AllSeen, finite_fp32, note_unreached, watched
from workflow_scripts.models.checkpoints import Checkpoint, Linear
from workflow_scripts.models.tensors import DTYPES


@torch.no_grad()
def keep_in_sequence(
    checkpoint: Checkpoint,
    linears: Sequence[Linear],
    input_ids: Tensor,
    keep: Callable[[Linear, Tensor, Tensor], Tensor],
    device: str = "cpu",
    batch: int | None = None,
) -> Iterator[PrunedLinear]:
    """Decide on `linears` (in the order of the blocks) one by one; yields name and mask of each.

    `keep` is given a linear, its weight and the sum of squares of its inputs over all tokens of
    `input_ids` (samples, length), both on `device`, and says which weights stay. `batch` samples
    go through a block at a time; it bounds memory and does not matter to the result. Raises
    `InputError` naming the linear that activations enter that are not finite.
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

        with watched(block, tuple(here), stop=True) as seen:
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
            squares = finite_fp32(seen[module].sum_squares, linear.name).to(device)
            kept = keep(linear, stored, squares)
            weight.masked_fill_(~kept, 0)
            yield PrunedLinear(linear.name, kept.cpu())
        if index < last:  # nothing is asked of what comes behind the last one
            for span in spans:
                hidden[span] = outputs(span)

    for index in range(last + 1):
        yield from prune_block(index)  # with which its block leaves memory before the next comes
