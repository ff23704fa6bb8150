"""How much of a model a variant removes, counted by names and shapes. No torch here.

Two shares answer two questions. A sparsity is one of the weights of the linears in the blocks. What
a model takes, on a disk or a GPU, follows from all of its parameters: embeddings, the head (once,
where it is the embedding), norms and biases as well.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from workflow_scripts.artefacts.mask_records import LORA_A, LORA_B, Shape
from workflow_scripts.models.checkpoints import HEAD, Checkpoint, linears, split_block


@dataclass(frozen=True)
class Removed:
    """Shares of the dense model's weights in blocks and of all its parameters, and their number.

    A share is negative where more is added than is taken away.
    """

    of_blocks: float
    of_all: float
    parameters: int


def count_parameters(checkpoint: Checkpoint, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """How many parameters some tensors of a model hold."""
    return sum(map(math.prod, parameter_shapes(checkpoint, shapes).values()))


def parameter_shapes(
    checkpoint: Checkpoint, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """Those of some tensors of a model by name that are parameters of their own.

    Some checkpoints hold a tied head a second time.
    """
    tied = checkpoint.config.get("tie_word_embeddings")
    return {name: shape for name, shape in shapes.items() if not (tied and name == HEAD)}


def count_removed(
    checkpoint: Checkpoint,
    removed_blocks: Collection[int],
    pruned: Mapping[str, int],
    stored: Mapping[str, Shape],
) -> Removed:
    """Count what is left of a model.

    `pruned` says how many weights of a linear a mask takes, `stored` gives the shapes of the
    tensors that a variant brings along: a changed one stands for the dense one, a new one adds to
    the model, and, if it is a matrix in a block, to the weights in blocks. Low-rank deltas are part
    of what they change.
    """
    dense = parameter_shapes(checkpoint, checkpoint.shapes)
    weights = {linear.name: linear.weights for linear in linears(checkpoint)}
    brought = {name: s for name, s in stored.items() if not name.endswith((LORA_A, LORA_B))}
    in_blocks = {*weights} | {
        name
        for name, shape in brought.items()
        if name not in dense and len(shape) > 1 and split_block(name)
    }
    left = {
        name: math.prod(shape) - pruned.get(name, 0)
        for name, shape in (dense | brought).items()
        if not (place := split_block(name)) or place[0] not in removed_blocks
    }
    of_blocks, of_all = sum(weights.values()), sum(map(math.prod, dense.values()))
    left_in_blocks = sum(count for name, count in left.items() if name in in_blocks)
    return Removed(
        of_blocks=(of_blocks - left_in_blocks) / of_blocks,
        of_all=(of_all - sum(left.values())) / of_all,
        parameters=of_all,
    )
