"""What every method works from, and the plan of a method that takes one linear after another."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from workflow_scripts.artefacts.allocations import Allocation
from workflow_scripts.artefacts.masks import Plan, PrunedLinear
from workflow_scripts.artefacts.rows_done import RowsDone
from workflow_scripts.artefacts.statistics import Statistics
from workflow_scripts.config.methods.base import Method
from workflow_scripts.errors import InputError
from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import Checkpoint, Linear


@dataclass(frozen=True)
class Inputs:
    """What a method works from. Files that the method does not need are None.

    `calibration` holds token ids, (samples, length); `device` is where the model runs on them.
    `done` keeps on disk what a method has done that takes long. Where the model was pruned before,
    `gone` says how many heads and neurons each block has lost, by kind.
    """

    checkpoint: Checkpoint
    linears: Sequence[Linear]
    options: Method
    allocation: Allocation | None
    statistics: Statistics | None
    calibration: Tensor | None
    device: str = "cpu"
    done: RowsDone | None = None
    gone: Mapping[int, Mapping[str, int]] = field(default_factory=dict)

    @property
    def in_scope(self) -> tuple[Linear, ...]:
        """The linears that have a sparsity."""
        return tuple(x for x in self.linears if x.name in self.allocation.sparsities)


def check_losses(inputs: Inputs) -> None:
    """Raise `InputError` where no token of the calibration set follows another."""
    if inputs.calibration.shape[1] < 2:
        raise InputError(
            f"calibration_sets.{inputs.options.calibration}: length is 1; a loss needs samples of "
            "2 tokens or more"
        )


def one_by_one(
    inputs: Inputs,
    prune: Callable[[Linear, Tensor], PrunedLinear],
    changes: Mapping[str, tuple[torch.dtype, Sequence[int]]] | None = None,
) -> Plan:
    """A plan for the linears in scope in which no linear depends on what another has lost.

    `prune` is given a linear and its weight; `changes` is what a `Plan` says of changed tensors.
    """

    def steps() -> Iterator[PrunedLinear]:
        for linear in inputs.in_scope:
            yield prune(linear, checkpoints.load_tensor(inputs.checkpoint, linear.name))

    return Plan(inputs.allocation.sparsities, steps(), changes=changes or {})
