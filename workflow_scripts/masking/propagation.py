"""Wanda as it was published: a block is pruned by what the pruned blocks before it hand down.

All linears of a block are scored from one pass of the block as it was; then the block runs again,
pruned, to give what enters the next one. One block's weights and the hidden states of the whole
calibration set are in memory: fp32 on the CPU, bf16 on a GPU. Scores are those of the weights as
the checkpoint stores them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from workflow_scripts.artefacts.masks import PrunedLinear
from workflow_scripts.models import blocks, checkpoints
from workflow_scripts.models.activations import finite_fp32, note_unreached, watched
from workflow_scripts.models.blocks import Call
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
    for index in range(last + 1):
        here = {linear.module: linear for linear in linears if linear.block == index}
        block = blocks.load_block(decoder, index)
        with watched(block, tuple(here)) as seen:
            for _ in _outputs(block, index, hidden, calls, spans):
                pass
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
            for span, after in _outputs(block, index, hidden, calls, spans):
                hidden[span] = after


def _outputs(
    block: nn.Module,
    index: int,
    hidden: Tensor,
    calls: Mapping[int, tuple[Call, ...]],
    spans: Sequence[slice],
) -> Iterator[tuple[slice, Tensor]]:
    """What a block makes of the samples of each span."""
    for span in spans:
        before = hidden[span]
        yield span, blocks.run_block(block, before, calls[len(before)][index])
