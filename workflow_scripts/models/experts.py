"""The experts of a block: one tensor for all of them in transformers, linears in a checkpoint.

transformers keeps gate and up of all experts of a block as `mlp.experts.gate_up_proj`, (experts,
2 x inner, hidden), and down as `mlp.experts.down_proj`, (experts, hidden, inner). Names and shapes
everywhere else are those of the checkpoint.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from workflow_scripts.models.checkpoints import Checkpoint
from workflow_scripts.models.linear_names import EXPERTS

if TYPE_CHECKING:
    from transformers import PreTrainedModel

IN_MEMORY = "mlp.experts"
# other names of what lies beside experts: in transformers -> in the checkpoint
RENAMED = {"mlp.gate.moe_statics.": "mlp.moe_statics.", "mlp.router.": "mlp.gate."}
_FUSED = re.compile(rf"(.*){re.escape(IN_MEMORY)}\.(gate_up_proj|down_proj)")


def experts_place(checkpoint: Checkpoint) -> str | None:
    """Where the experts of a block lie in the checkpoint, a key of EXPERTS; None without any."""
    return next((p for p in EXPERTS for name in checkpoint.files if f".{p}.0." in name), None)


def is_mixture(model: "PreTrainedModel") -> bool:
    """Whether a loaded model has experts: no other parameter of a decoder has three dimensions."""
    return any(parameter.dim() == 3 for parameter in model.parameters())


@contextmanager
def row_by_row(model: "PreTrainedModel") -> Iterator[None]:
    """Have every row multiplied with its own experts' weights, in products of one shape.

    It is a setting of the whole model: no other thread may run it meanwhile.
    """
    usual, model.config._experts_implementation = model.config._experts_implementation, "batched_mm"
    try:
        yield
    finally:
        model.config._experts_implementation = usual


def as_stored(tensors: Mapping[str, Tensor], place: str | None) -> dict[str, Tensor]:
    """A model's tensors (or what is like them) by the checkpoint's names, experts as views.

    `place` is `experts_place` of the checkpoint.
    """
    if place is None:
        return dict(tensors)
    found = {}
    for name, tensor in tensors.items():
        if not (match := _FUSED.fullmatch(name)):
            found[stored_name(name, place)] = tensor
            continue
        gate, up, down = EXPERTS[place]
        roles = (gate, up) if match[2] == "gate_up_proj" else (down,)
        for number, matrix in enumerate(tensor):
            for role, part in zip(roles, matrix.chunk(len(roles)), strict=True):
                found[f"{match[1]}{place}.{number}.{role}.weight"] = part
    return found


def stored_name(name: str, place: str | None) -> str:
    """What the checkpoint calls a tensor, whole or inside a block, that a walked block names."""
    if place is None:
        return name
    for here, there in RENAMED.items():
        name = name.replace(here, there)
    inside, stored = IN_MEMORY.partition(".")[0], place.partition(".")[0]
    return re.sub(rf"(^|\.){inside}\.", rf"\g<1>{stored}.", name, count=1)


def separate_experts(block: nn.Module, place: str | None) -> None:
    """Replace the experts of a block without weights by linears, if it has any."""
    if place and hasattr(block.mlp, "experts"):
        block.mlp.experts = SeparateExperts(block.mlp.experts, EXPERTS[place])


class SeparateExperts(nn.Module):
    """Experts as linears of their own, called as in the checkpoint: `3.gate_proj` or `3.w1`.

    Every linear sees the tokens that are routed to its expert, and no other.
    """

    def __init__(self, experts: nn.Module, names: tuple[str, str, str]) -> None:
        super().__init__()
        count, hidden, inner = experts.down_proj.shape
        sizes = ((hidden, inner), (hidden, inner), (inner, hidden))
        for number in range(count):
            linears = {
                name: nn.Linear(*size, bias=False, device="meta")
                for name, size in zip(names, sizes, strict=True)
            }
            self.add_module(str(number), nn.ModuleDict(linears))
        self._gated = experts._apply_gate

    def forward(self, hidden: Tensor, chosen: Tensor, shares: Tensor) -> Tensor:
        """What the experts add up to: `hidden` is (tokens, hidden), the others (tokens, top k)."""
        result = torch.zeros_like(hidden)
        for number, expert in enumerate(self.children()):
            token, rank = torch.where(chosen == number)
            if not len(token):
                continue
            gate, up, down = expert.values()
            inputs = hidden[token]
            output = down(self._gated(torch.cat([gate(inputs), up(inputs)], dim=-1)))
            weighted = output * shares[token, rank, None]
            result.index_add_(0, token, weighted.to(result.dtype))
        return result
