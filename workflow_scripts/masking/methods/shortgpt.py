"""ShortGPT (arXiv 2403.03853): the blocks of least Block Influence go, all scored once."""

from workflow_scripts.artefacts.masks import Plan
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.masking.whole_blocks import lowest_blocks


def plan(inputs: Inputs) -> Plan:
    """Remove the blocks that change their input least."""
    influence = inputs.statistics.block_influence.tolist()
    return Plan(removed_blocks=lowest_blocks(influence, inputs.options.remove_blocks))
