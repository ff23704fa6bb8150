"""Removal of the last blocks, which needs no data."""

from workflow_scripts.artefacts.masks import Plan
from workflow_scripts.masking.inputs import Inputs


def plan(inputs: Inputs) -> Plan:
    """Remove blocks from the last one down."""
    count, blocks = inputs.options.remove_blocks, inputs.checkpoint.blocks
    return Plan(removed_blocks=tuple(range(blocks - count, blocks)))
