"""The model as it is."""

from workflow_scripts.artefacts.masks import Plan
from workflow_scripts.masking.inputs import Inputs


def plan(inputs: Inputs) -> Plan:
    """Remove nothing."""
    return Plan()
