"""Removal of the blocks on a list."""

from workflow_scripts.artefacts.masks import Plan
from workflow_scripts.masking.inputs import Inputs


def plan(inputs: Inputs) -> Plan:
    """Remove the blocks that the options list."""
    return Plan(removed_blocks=tuple(sorted(inputs.options.blocks)))
