"""A variant walked block by block, as `models.blocks` walks the dense model.

    parts = outer_tensors(checkpoint, pruned)
    hidden, calls = blocks.embed(decoder, input_ids, parts.get(EMBEDDING))
    for index in pruned.record.kept_blocks:
        block = blocks.load_block(decoder, index)
        prune_block(block, decoder, pruned, index)
        hidden = blocks.run_block(block, hidden, calls[index])
    logits = open_head(decoder, parts).logits(hidden)

Blocks keep their dense numbers, and what they are called with, since no block's call depends on how
many there are. The weights are those of `pruned_checkpoints.apply_pruned`, to the bit.
"""

import torch
from torch import Tensor, nn

from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.artefacts.pruned_checkpoints import (
    ExportedTensor,
    change_tensors,
    check_fit,
    pruned_tensor,
)
from workflow_scripts.artefacts.weights import changed_names
from workflow_scripts.models.blocks import Decoder
from workflow_scripts.models.checkpoints import Checkpoint, block_prefix, split_block
from workflow_scripts.models.experts import experts_place, stored_name
from workflow_scripts.models.routed import route_block
from workflow_scripts.models.sliced import run_sliced, set_tensor, sliced_shapes
from workflow_scripts.models.tensors import DTYPES


def outer_tensors(checkpoint: Checkpoint, pruned: Pruned) -> dict[str, Tensor]:
    """The tensors outside the blocks that a variant changes or adds, by name, as they are stored.

    Raises `InputError` where the variant does not fit the checkpoint.
    """
    width = pruned.record.sliced_width
    shapes = dict(checkpoint.shapes)
    if width is not None:
        shapes |= sliced_shapes(checkpoint, width)
    check_fit(pruned, shapes, checkpoint.blocks)
    names = [n for n in changed_names(pruned.record.weights) if split_block(n) is None]
    if width is not None:
        return {name: pruned.weights[name] for name in names}
    return {name: _tensor(checkpoint, pruned, name) for name in names}


def _tensor(checkpoint: Checkpoint, pruned: Pruned, name: str) -> Tensor:
    dtype, shape = DTYPES[checkpoint.dtypes[name]], checkpoint.shapes[name]
    return pruned_tensor(checkpoint, pruned, ExportedTensor(name, dtype, shape, ""))


@torch.no_grad()
def prune_block(block: nn.Module, decoder: Decoder, pruned: Pruned, index: int) -> None:
    """Make of a dense block, as `load_block` loads it, what a variant makes of it, in place.

    Not for a block that the variant removes.
    """
    prefix, checkpoint = block_prefix(index), decoder.checkpoint
    if pruned.record.sliced_width is None:
        place = experts_place(checkpoint)
        tensors = {prefix + stored_name(name, place): x for name, x in block.named_parameters()}
        change_tensors(block, tensors, pruned, checkpoint, prefix)
        if pruned.record.routing:
            hidden = decoder.model.config.hidden_size
            route_block(block, index, pruned.record.routing, hidden, pruned.weights)
        return
    run_sliced(block, decoder.model.config)
    for name in pruned.record.weights:
        if name.startswith(prefix):
            tensor = pruned.weights[name].to(decoder.device, decoder.dtype)
            set_tensor(block, name.removeprefix(prefix), tensor)
