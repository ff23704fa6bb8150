"""A penalty on the weights that will go, so that what is left takes over from them (DReSS).

DReSS (arXiv 2501.17905) chooses first, trains for a while with an l1 or l2 norm of what it has
chosen in the loss, and cuts then; which weight the norm has is not published. Here, of the linears
that are trained, with R the weights that will go and W what a linear computes with, adapters
included, the loss of a step gains

    l1    weight · Σ_R |W| / |R|        l2    weight · Σ_R W² / |R|

a mean, so that one weight does for models of any size and for any part of them. All weights of a
block that will go are in R.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as run_again

from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.config.recoveries import Penalty
from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import Linear, block_prefix, split_block
from workflow_scripts.recovery.adapters import ADAPTER


def uncut(start: Pruned) -> Pruned:
    """What a variant makes of a model before it takes anything away: its changed tensors alone."""
    record = start.record.model_copy(update={"linears": {}, "removed_blocks": ()})
    return Pruned(record, {}, start.weights)


def left(tensors: Mapping[str, Tensor], start: Pruned) -> dict[str, Tensor]:
    """Of what was trained, by name, what is not of a block that goes."""
    places = {name: split_block(name) for name in tensors}
    removed = start.record.removed_blocks
    return {name: x for name, x in tensors.items() if places[name][0] not in removed}


class Penalised:
    """The weights of a model that will go, and what they add to a loss.

    The model has all of its blocks and, where adapters are trained, has them already; `start` says
    what will go of `targets`. Raises `InputError` where nothing will go that is trained.
    """

    def __init__(
        self, model: nn.Module, start: Pruned, targets: Sequence[Linear], wanted: Penalty
    ) -> None:
        self._wanted = wanted
        self._parts: list[tuple[nn.Module, Tensor | None]] = []
        self.count = 0
        for linear in targets:
            gone = None
            if linear.block not in start.record.removed_blocks:
                if linear.name not in start.record.linears:
                    continue
                gone = ~start.kept(linear.name)
                if not gone.any():
                    continue
            module = model.get_submodule(f"{block_prefix(linear.block)}{linear.module}")
            if gone is not None:
                gone = gone.to(next(module.parameters()).device)
            self._parts.append((module, gone))
            self.count += linear.weights if gone is None else int(gone.sum())
        if not self.count:
            raise InputError(
                "recovery: nothing that is trained will go, so that there is nothing to penalise; "
                "set targets that the variant removes weights of, or none for all linears"
            )

    def value(self) -> Tensor:
        """What a step's loss gains; fp32, with gradients.

        Of one linear at a time the weights with their adapters are in memory, again for gradients.
        """
        total = sum(run_again(self._sum, *part, use_reentrant=False) for part in self._parts)
        return self._wanted.weight / self.count * total

    def _sum(self, module: nn.Module, gone: Tensor | None) -> Tensor:
        weight = getattr(module, "base_layer", module).weight.float()
        if hasattr(module, "get_delta_weight"):
            weight = weight + module.get_delta_weight(ADAPTER).float()
        if gone is not None:
            weight = weight.masked_fill(~gone, 0)
        return weight.abs().sum() if self._wanted.norm == "l1" else weight.square().sum()
