"""What rows that are not trained on say of a model: their loss, and what their tokens skip."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from workflow_scripts.recovery.routers import Routes, Skipped
from workflow_scripts.recovery.samples import Batch, Sample, batches, summed_loss


class Measured(NamedTuple):
    """The mean loss (nats a token) of rows, and the share of pairs of a token and a sublayer that
    they skip, as a whole and by sublayer; None of a model without routers.
    """

    loss: float
    skipped: float | None = None
    by_part: dict[str, float] | None = None


def measure(model: Any, samples: Sequence[Sample], at_once: int, device: Any) -> Measured:
    """Measure rows, so many at once, on the model's device; without dropout."""
    losses, skipped = [], Skipped()
    for batch in batches(samples, at_once):
        loss, of_batch = measured_batch(model, batch, device)
        losses.append(loss)
        if of_batch:
            skipped.add(of_batch)
    loss = math.fsum(losses) / sum(sample.tokens for sample in samples)
    if not skipped.tokens:
        return Measured(loss)
    blocks = model.config.num_hidden_layers
    return Measured(loss, skipped.share(blocks), skipped.by_part(blocks))


@torch.no_grad()
def measured_batch(model: Any, batch: Batch, device: Any) -> tuple[float, Skipped | None]:
    """The loss of a batch, summed, and what it skips."""
    model.eval()
    batch = {name: part.to(device) for name, part in batch.items()}
    routes = routes_in_use(model, batch)
    return summed_loss(model, batch, routes).item(), routes.skipped() if routes else None


def routes_in_use(model: Any, batch: Batch) -> Routes | None:
    """How a batch passes a model's blocks when it is used; None without routers."""
    routing = getattr(model, "routing", None)
    return Routes(routing, batch["lengths"]) if routing else None
