"""Dynamic pruning: nothing is removed, blocks get routers, which the variant's recovery trains.

What routers are and what follows from their numbers is in `models.routed`. They begin as something
by which every token runs, but for the forms that take the largest of a row; what of it is drawn
follows from the variant's seed.
"""

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

from workflow_scripts.artefacts.masks import Plan
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.models.checkpoints import EMBEDDING
from workflow_scripts.models.plain_blocks import check_plain
from workflow_scripts.models.routed import first_values, router_shapes


def plan(inputs: Inputs) -> Plan:
    """Add routers. Raises `InputError` for an architecture whose blocks cannot be rebuilt."""
    options, checkpoint = inputs.options, inputs.checkpoint
    check_plain(checkpoint, f"{options.method} has no way to skip sublayers of")
    routing = options.routing(checkpoint.blocks)
    shapes = router_shapes(routing, checkpoint.shapes[EMBEDDING][1])

    def tensors() -> Iterator[tuple[str, Tensor]]:
        for name, shape in shapes.items():
            digest = hashlib.sha256(f"{options.seed} {name}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:6], "big"))
            yield name, first_values(routing, name, shape, generator)

    layout = {name: (torch.float32, shape) for name, shape in shapes.items()}
    return Plan(changes=layout, tensors=tensors(), routing=routing)
