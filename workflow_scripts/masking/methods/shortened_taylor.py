"""Shortened LLaMA's Taylor criterion (arXiv 2402.02834): the blocks of least Σ |W · G| go.

G is the gradient of the mean loss over all tokens of the calibration set. The sum is over a block's
weight matrices and the scales of its norms, those of q and k too; its biases are left out.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from workflow_scripts.artefacts.masks import Plan
from workflow_scripts.jobs.progress import Progress, tell
from workflow_scripts.masking.inputs import Inputs, check_losses
from workflow_scripts.masking.whole_blocks import as_scores, lowest, of_places
from workflow_scripts.models.block_gradients import block_gradients
from workflow_scripts.models.block_removal import check_removable

MEASURE = "sum of |weight × gradient|"


def salience(weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> float:
    """Σ |W · G| over the tensors of a block, by their names in the checkpoint, without biases."""
    return sum(
        (weight.float() * gradients[name]).abs_().sum(dtype=torch.float64).item()
        for name, weight in sorted(weights.items())
        if name.endswith(".weight")
    )


def plan(inputs: Inputs) -> Plan:
    """Remove the blocks of least Σ |W · G|. Raises `InputError` where a gradient is not finite."""
    blocks = inputs.checkpoint.blocks
    check_removable(inputs.checkpoint)
    places = inputs.options.places(blocks)
    check_losses(inputs)
    tell(f"shortened-taylor: gradients over {inputs.calibration.numel():,} tokens")
    progress, found = Progress(3 * blocks), {}
    for of_block in block_gradients(inputs.checkpoint, inputs.calibration, inputs.device):
        progress(2 if found else 2 + blocks)  # back takes twice as long as forward
        found[of_block.block] = salience(of_block.weights, of_block.gradients)
    removed = lowest(of_places(found, places), inputs.options.remove_blocks)
    return Plan(removed_blocks=removed, scores=(as_scores(MEASURE, found, blocks),))
