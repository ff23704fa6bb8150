"""Removal of the blocks on a list."""

from workflow_scripts.artefacts.masks import Plan
from workflow_scripts.errors import InputError
from workflow_scripts.masking.inputs import Inputs


def plan(inputs: Inputs) -> Plan:
    """Remove the blocks that the options list.

    Raises `InputError` where the model lacks one of them, or has no others.
    """
    listed, blocks = inputs.options.blocks, inputs.checkpoint.blocks
    for block in listed:
        if block >= blocks:
            raise InputError(f"blocks: there is no block {block}; the model has 0 to {blocks - 1}")
    if len(listed) == blocks:
        raise InputError(f"blocks: all {blocks} blocks of the model are listed; one must stay")
    return Plan(removed_blocks=tuple(sorted(listed)))
