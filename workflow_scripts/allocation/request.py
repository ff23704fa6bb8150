"""What an allocation works from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflow_scripts.config.allocations import AllocationKind
from workflow_scripts.config.methods.base import OfWeights
from workflow_scripts.models.checkpoints import Checkpoint, Linear

if TYPE_CHECKING:
    from torch import Tensor

    from workflow_scripts.artefacts.rows_done import RowsDone
    from workflow_scripts.artefacts.statistics import Statistics


@dataclass(frozen=True)
class Request:
    """What an allocation may look at; `target` is the mean sparsity of `linears`, those in scope.

    Files that the allocation does not need are None. `influence` has the scores of every block. An
    allocation that is made for a method has the variant as `method`; one that runs the model has
    token ids, (samples, length), as `calibration`, a `device`, and `done`, which keeps what it has
    done.
    """

    checkpoint: Checkpoint
    linears: Sequence[Linear]
    target: float
    options: AllocationKind
    statistics: "Statistics | None"
    influence: Sequence[Mapping[str, float]] | None
    method: OfWeights | None = None
    calibration: "Tensor | None" = None
    device: str = "cpu"
    done: "RowsDone | None" = None

    def block_weights(self) -> dict[int, int]:
        """How many weights in scope each block has, in the order of the blocks."""
        weights = dict.fromkeys(sorted({linear.block for linear in self.linears}), 0)
        for linear in self.linears:
            weights[linear.block] += linear.weights
        return weights

    def by_block(self, sparsities: Sequence[float]) -> dict[str, float]:
        """The sparsity of every linear from one for each of its blocks, as `block_weights` has."""
        found = dict(zip(self.block_weights(), sparsities, strict=True))
        return {linear.name: found[linear.block] for linear in self.linears}
