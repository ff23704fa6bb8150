"""Shortened LLaMA's magnitude criterion (arXiv 2402.02834): the blocks of least Σ |W| go.

The sum is over a block's weight matrices and the scales of its norms, those of q and k too; its
biases are left out.
"""

import torch

from workflow_scripts.artefacts.masks import Plan
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.masking.whole_blocks import as_scores, lowest, of_places
from workflow_scripts.models import checkpoints
from workflow_scripts.models.block_removal import check_removable
from workflow_scripts.models.checkpoints import Checkpoint

MEASURE = "sum of |weight|"


def magnitude(checkpoint: Checkpoint, block: int) -> float:
    """Σ |W| over the tensors of a block, without biases, one of them in memory."""
    prefix = checkpoints.block_prefix(block)
    names = [n for n in checkpoint.files if n.startswith(prefix) and n.endswith(".weight")]
    return sum(
        checkpoints.load_tensor(checkpoint, name).abs().sum(dtype=torch.float64).item()
        for name in sorted(names)
    )


def plan(inputs: Inputs) -> Plan:
    """Remove the blocks of least Σ |W|."""
    blocks = inputs.checkpoint.blocks
    check_removable(inputs.checkpoint)
    places = inputs.options.places(blocks)
    found = {block: magnitude(inputs.checkpoint, block) for block in range(blocks)}
    removed = lowest(of_places(found, places), inputs.options.remove_blocks)
    return Plan(removed_blocks=removed, scores=(as_scores(MEASURE, found, blocks),))
