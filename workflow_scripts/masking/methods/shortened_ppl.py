"""Shortened LLaMA's perplexity criterion (arXiv 2402.02834): each block is left out alone, once.

The perplexity is exp of the mean loss over all tokens; the blocks without which it is least go.
"""

import math
import sys

from workflow_scripts.artefacts.masks import Plan
from workflow_scripts.jobs.progress import Progress, tell
from workflow_scripts.masking.block_losses import losses_without, open_measured
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.masking.whole_blocks import (
    as_scores,
    check_finite,
    lowest,
)
from workflow_scripts.models.block_removal import check_removable

MEASURE = "perplexity without the block"


def plan(inputs: Inputs) -> Plan:
    """Remove the blocks without which the perplexity is least; only those that may go have one."""
    blocks, count = inputs.checkpoint.blocks, inputs.options.remove_blocks
    check_removable(inputs.checkpoint)
    places = inputs.options.places(blocks)
    measured = open_measured(inputs)
    tell(
        f"shortened-ppl: {len(places)} losses over {inputs.calibration.numel():,} tokens; blocks "
        f"run as often as in {inputs.options.passes(blocks):.1f} forward passes, the head as in "
        f"{len(places)}"
    )
    progress = Progress(measured.work(blocks, places))
    found = losses_without(measured, range(blocks), places, progress)
    losses = check_finite(found, count)
    perplexities = {block: perplexity(loss) for block, loss in losses.items()}
    scores = as_scores(MEASURE, perplexities, blocks)
    return Plan(removed_blocks=lowest(losses, count), scores=(scores,))


def perplexity(loss: float) -> float | None:
    """exp of a mean loss in nats; None where that is more than a number can be."""
    return math.exp(loss) if loss < math.log(sys.float_info.max) else None
