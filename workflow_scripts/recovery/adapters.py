"""What is trained of a pruned model: low-rank adapters or whole weights, never what was removed;
and routers.

An adapter (LoRA, arXiv 2106.09685) adds alpha/rank · B·A to a weight W, (output, input), with A of
shape (rank, input) and B of shape (output, rank), which starts at zero. Where a part of W was
removed, M being 1 for what is kept, the pruned model has M∘(W + alpha/rank · B·A), and so it is
trained: a linear is

    y = (M∘W)·x + (alpha/rank · M∘(B·A))·dropout(x)

for which B·A is multiplied out. A token then takes seven products of W's size (both terms forward,
again in the backward pass, and the gradients of x by either and of M∘(B·A)) where three would do
without a mask; four in fp32 without dropout, where the two terms are one product.
"""

from collections.abc import Sequence
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners import lora
from torch import Tensor, nn
from transformers import PreTrainedModel

from workflow_scripts.artefacts.mask_records import LORA_A, LORA_B
from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.config.recoveries import Lora, OnlyRouters, Recovery
from workflow_scripts.errors import InputError
from workflow_scripts.files.digests import value_digest
from workflow_scripts.models.checkpoints import Checkpoint, Linear, block_prefix, linears
from workflow_scripts.models.routing import is_router_tensor

ADAPTER = "default"  # peft's name for the only one


class Trained:
    """The parameters of a model that are trained, by the names that `weights.safetensors` gives.

    `scale` is that of low-rank adapters, None where there are none.
    """

    def __init__(self, parameters: dict[str, nn.Parameter], scale: float | None) -> None:
        self.parameters, self.scale = parameters, scale

    @property
    def count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters.values())

    def copies(self) -> dict[str, Tensor]:
        """What they are now, on the CPU."""
        return {name: p.detach().cpu().clone() for name, p in self.parameters.items()}

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Make them what they were."""
        for name, parameter in self.parameters.items():
            parameter.copy_(tensors[name])


def targets_of(checkpoint: Checkpoint, wanted: Recovery) -> list[Linear]:
    """The linears that are trained; none where routers alone are.

    Raises `InputError` for names that no linear has, and for experts: those of a block are one
    tensor in memory.
    """
    if isinstance(wanted, OnlyRouters):
        return []
    found = linears(checkpoint)
    names = list(dict.fromkeys(map(_last_part, found)))
    of_experts = {_last_part(linear) for linear in found if linear.of_expert}
    targets = (wanted.targets if isinstance(wanted, Lora) else None) or names
    where = f"recovery of {checkpoint.folder}"
    if unknown := [name for name in targets if name not in names]:
        raise InputError(
            f"{where}: targets has {unknown[0]!r}, which no linear of the model is called; there: "
            f"{', '.join(names)}"
        )
    if of_experts & {*targets}:
        others = ", ".join(name for name in names if name not in of_experts)
        raise InputError(
            f"{where}: experts ({', '.join(sorted(of_experts))}) cannot be trained; set kind: lora "
            f"with targets among {others}"
        )
    return [linear for linear in found if _last_part(linear) in targets]


def prepare(
    model: PreTrainedModel, pruned: Pruned, targets: Sequence[Linear], wanted: Recovery
) -> Trained:
    """Make a pruned model, on its device, one of which the targets are trained, and routers where
    they are to be, and nothing else.

    Targets in removed blocks are passed over. What adapters begin as follows from the seed.
    """
    numbers = {block: number for number, block in enumerate(pruned.record.kept_blocks)}
    places = {
        linear.name: f"{block_prefix(numbers[linear.block])}{linear.module}"
        for linear in targets
        if linear.block in numbers
    }
    model.requires_grad_(False)
    for module in model.modules():
        if hasattr(module, "attention_dropout"):  # the model's own: an adapter's is all there is
            module.attention_dropout = 0.0
        elif isinstance(module, nn.Dropout):
            module.p = 0.0
    for name, place in places.items():
        if name in pruned.record.linears:
            module = model.get_submodule(place)
            gone = ~pruned.kept(name).to(module.weight.device)
            module.register_buffer("gone", gone, persistent=False)
    if isinstance(wanted, Lora):
        trained = _with_adapters(model, places, wanted)
    else:
        whole = {name: _whole(model.get_submodule(place)) for name, place in places.items()}
        trained = Trained(whole, None)
    if wanted.trained_routers:
        for name, parameter in model.named_parameters():
            if is_router_tensor(name):
                trained.parameters[name] = parameter.requires_grad_()
    return trained


def _with_adapters(model: PreTrainedModel, places: dict[str, str], wanted: Lora) -> Trained:
    config = LoraConfig(
        r=wanted.rank,
        lora_alpha=wanted.alpha,
        lora_dropout=wanted.dropout,
        target_modules=[*places.values()],
        bias="none",
    )
    config._register_custom_module({nn.Linear: _adapted})
    torch.manual_seed(wanted.seed)
    inject_adapter_in_model(config, model, ADAPTER)
    found: dict[str, nn.Parameter] = {}
    for name, place in places.items():
        layer = model.get_submodule(place)
        if wanted.dropout:
            layer.lora_dropout[ADAPTER] = RowDropout(wanted, name)
        for suffix, part in ((LORA_A, layer.lora_A), (LORA_B, layer.lora_B)):
            weight = part[ADAPTER].weight
            weight.data = weight.data.float()  # peft makes them as wide as the base
            found[name + suffix] = weight
    return Trained(found, wanted.alpha / wanted.rank)


def _adapted(base: nn.Linear, adapter_name: str, **options: Any) -> nn.Module:
    kind = MaskedAdapter if hasattr(base, "gone") else lora.Linear
    return kind(base, adapter_name, **options)


class MaskedAdapter(lora.Linear):
    """peft's adapter of a linear of whose weights a part was removed, and stays so: `base.gone`."""

    def get_delta_weight(self, adapter: str) -> Tensor:
        """alpha/rank · M∘(B·A), (output, input)."""
        return super().get_delta_weight(adapter).masked_fill(self.base_layer.gone, 0)

    def forward(self, x: Tensor) -> Tensor:
        base, delta = self.base_layer, self.get_delta_weight(ADAPTER)
        dropout = self.lora_dropout[ADAPTER]
        if x.dtype == delta.dtype and isinstance(dropout, nn.Identity):
            return nn.functional.linear(x, base.weight + delta, base.bias)
        return base(x) + nn.functional.linear(dropout(x), delta.to(x.dtype))


class RowDropout(nn.Module):
    """Dropout that depends on the seed, the linear and a row's place in training, and on no more.

    So neither rows that are in memory at once nor where a job was killed change a result. Before a
    batch `places` has to say where its rows are, a number for each.
    """

    def __init__(self, wanted: Lora, linear: str) -> None:
        super().__init__()
        self._share, self._length = wanted.dropout, wanted.length
        self._seed = int(value_digest([wanted.seed, linear])[:12], 16)
        self.places: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        keep = torch.stack([self._kept(place, x) for place in self.places])
        return x * keep[:, : x.shape[1]] / (1 - self._share)

    def _kept(self, place: int, x: Tensor) -> Tensor:
        """Whether a row's inputs stay, (length, input): as many are drawn however long it is."""
        generator = torch.Generator(x.device).manual_seed(self._seed + place)
        drawn = torch.rand(self._length, x.shape[2], generator=generator, device=x.device)
        return drawn >= self._share


def set_places(model: nn.Module, places: list[int]) -> None:
    """Say to all dropouts of a model where the rows of the next batch are in training."""
    for module in model.modules():
        if isinstance(module, RowDropout):
            module.places = places


def _whole(linear: nn.Linear) -> nn.Parameter:
    """A weight that is trained. What was removed of it has no gradient, and so stays at zero: all
    that AdamW makes of that is zero too, and the norm of the gradients is that of the others.
    """
    weight = linear.weight.requires_grad_()
    if hasattr(linear, "gone"):
        weight.register_hook(lambda gradient: gradient.masked_fill(linear.gone, 0))
    return weight


def _last_part(linear: Linear) -> str:
    return linear.module.rpartition(".")[2]
