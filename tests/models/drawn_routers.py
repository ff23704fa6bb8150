"""Routers in which every number matters: those that training begins with all say run."""

import math

import torch

from workflow_scripts.models.routed import router_shapes, routers_of
from workflow_scripts.models.routing import Routing


def drawn_routers(routing: Routing, hidden: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Tensors of routers by name, as `router_shapes` has them: weights normal, scaled by inputs."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: drawn_values(routing, name, shape, generator)
        for name, shape in router_shapes(routing, hidden).items()
    }


def drawn_values(
    routing: Routing, name: str, shape: tuple[int, ...], generator: torch.Generator
) -> torch.Tensor:
    """One such tensor, in place of what `first_values` makes."""
    values = torch.randn(shape, generator=generator) / math.sqrt(shape[-1] if shape[1:] else 4)
    return values + (1.0 if name.endswith(".weight") and not shape[1:] else 0.0)


def draw_routers(model: torch.nn.Module, seed: int = 0) -> None:
    """Give a model's routers such values, in place."""
    hidden = model.get_input_embeddings().weight.shape[1]
    values = drawn_routers(model.routing, hidden, seed)
    for router in routers_of(model):
        prefix = f"model.layers.{router.number}.router."
        for name, parameter in router.named_parameters():
            parameter.data = values[prefix + name].to(parameter.dtype)
