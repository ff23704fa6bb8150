"""Biases that give back what outputs lose on average over the calibration set."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import Checkpoint, Linear
from workflow_scripts.models.tensors import DTYPES
from workflow_scripts.pruning.kernels import compensation


def bias_changes(
    checkpoint: Checkpoint, linears: Iterable[Linear]
) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    """What a `Plan` says of the biases of these linears: dtype (that of the weight) and shape."""
    return {
        linear.bias: (DTYPES[checkpoint.dtypes[linear.name]], linear.shape[:1])
        for linear in linears
    }


def compensated_bias(
    inputs: Inputs, linear: Linear, weight: Tensor, keep: Tensor
) -> Mapping[str, Tensor]:
    """The new bias of a linear by its name: with what the pruned weights gave on average.

    `weight` is the dense one and `keep` its mask, (output, input).
    """
    statistics, name, checkpoint = inputs.statistics, linear.bias, inputs.checkpoint
    bias = compensation(
        weight, keep, statistics.sums[linear.name].double() / statistics.tokens[linear.name]
    )
    if name in checkpoint.files:
        bias += checkpoints.load_tensor(checkpoint, name)
    return {name: bias.to(DTYPES[checkpoint.dtypes[linear.name]])}
