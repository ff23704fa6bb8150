"""SLEB (arXiv 2402.09025): block after block goes, each time that without which the loss is least.

The loss is measured with everything left out that is removed already. The first and the last block
always stay; of equal losses the lower block goes.
"""

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

MEASURE = "loss without the block, nats a token"


def plan(inputs: Inputs) -> Plan:
    """Remove block after block. Raises `InputError` where too few blocks can go."""
    blocks, count = inputs.checkpoint.blocks, inputs.options.remove_blocks
    check_removable(inputs.checkpoint)
    rounds = list(inputs.options.rounds(blocks))
    measured = open_measured(inputs)
    candidates = sum(len(places) for _, places in rounds)
    forward = inputs.options.passes(blocks)
    tell(
        f"sleb: {candidates} losses in {count} rounds over {inputs.calibration.numel():,} tokens; "
        f"blocks run as often as in {forward:.1f} forward passes, the head as in {candidates}"
    )
    progress = Progress(sum(measured.work(*of_round) for of_round in rounds))
    alive, scores = list(range(blocks)), []
    for _, places in rounds:
        losses = check_finite(losses_without(measured, alive, places, progress), 1)
        (block,) = lowest(losses, 1)
        tell(f"sleb: block {block} goes, the loss without it is {losses[block]:.4f}")
        alive.remove(block)
        scores.append(as_scores(MEASURE, losses, blocks))
    return Plan(removed_blocks=tuple(sorted({*range(blocks)} - {*alive})), scores=tuple(scores))
