"""Structured magnitude pruning: heads and neurons by the norms of the columns that read them."""

from torch import Tensor

from workflow_scripts.artefacts.masks import Plan
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.masking.width import plan_by_columns
from workflow_scripts.models.checkpoints import Linear


def plan(inputs: Inputs) -> Plan:
    """Remove the heads and neurons of least Σ_j ‖W_·j‖, W being the weight of o and of down."""

    def score(linear: Linear, weight: Tensor) -> Tensor:
        return weight.float().norm(dim=0)

    return plan_by_columns(inputs, score)
