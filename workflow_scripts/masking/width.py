"""From the units that each block loses to a plan, and how many of them that should be."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from workflow_scripts.artefacts.masks import Plan, PrunedLinear
from workflow_scripts.config.methods.width import OfUnits
from workflow_scripts.errors import InputError
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.models.checkpoints import Checkpoint, Linear
from workflow_scripts.models.units import KV_GROUP, NEURON, QUERY_HEAD, BlockUnits, block_units

# by kind: the units of a block that go; what they are worth, (units,)
Removed = Mapping[str, Sequence[int]]
Scores = Mapping[str, Tensor]
IN_WORDS = {KV_GROUP: "head", QUERY_HEAD: "head", NEURON: "neuron"}


def pruned_blocks(checkpoint: Checkpoint, options: OfUnits) -> tuple[BlockUnits, ...]:
    """The blocks that lose something: all but those that are kept at both ends.

    Raises `InputError` where none is left, and as `block_units` does.
    """
    found, last = block_units(checkpoint), checkpoint.blocks - options.keep_last
    if options.keep_first >= last:
        raise InputError(
            f"keep_first is {options.keep_first} and keep_last {options.keep_last}: of "
            f"{checkpoint.blocks} blocks none is left to prune"
        )
    return found[options.keep_first : last]


def lowest(scores: Tensor, count: int) -> tuple[int, ...]:
    """The `count` units of lowest score, ascending; of equal ones the earlier. (units,)."""
    order = torch.sort(scores, stable=True).indices[:count]
    return tuple(sorted(order.tolist()))


def counts_for(units: BlockUnits, heads: str, sparsity: float) -> dict[str, int]:
    """How many units of a block go, by kind, so that the share of its weights is `sparsity`.

    The same part of the heads (of the kind `heads`), to the nearest whole number, and then neurons
    for what is missing; at least one of each stays. Raises `InputError` where that cannot be.
    """
    gone = min(round(sparsity * units.count(heads)), units.count(heads) - 1)
    return filled(units, {heads: gone}, sparsity)


def filled(units: BlockUnits, heads: Mapping[str, int], sparsity: float) -> dict[str, int]:
    """Numbers of heads by kind, and of neurons that make the share of a block `sparsity` with them.

    At least one neuron stays. Raises `InputError` where all that may go is less than that.
    """
    wanted = sparsity * units.weights
    of_heads = sum(count * units.unit_weights(kind) for kind, count in heads.items())
    neuron, most = units.unit_weights(NEURON), units.count(NEURON) - 1
    neurons = round((wanted - of_heads) / neuron)
    if neurons > most:
        reached = (of_heads + most * neuron) / units.weights
        raise InputError(
            f"sparsity is {sparsity}: with one head and one neuron left, block {units.block} loses "
            f"{reached:.4g} of its weights"
        )
    return {**heads, NEURON: max(neurons, 0)}


def lowest_units(units: BlockUnits, scores: Scores, counts: Mapping[str, int]) -> Removed:
    """The units of lowest score, so many of each kind."""
    return {kind: lowest(scores[kind], count) for kind, count in counts.items()}


def made_even(
    blocks: Sequence[BlockUnits],
    scores: Sequence[Scores],
    removed: Sequence[Removed],
    heads: str,
    sparsity: float,
) -> list[Removed]:
    """As many heads and neurons from every block, those of lowest score.

    So many heads as the blocks lose on average, and neurons for what is missing. Of single query
    heads every KV group loses as many as the others. `scores` and `removed` have one entry for each
    of `blocks`, which are alike. Raises `InputError` where so much cannot go.
    """
    one = blocks[0]
    mean = sum(len(gone[heads]) for gone in removed) / len(blocks)
    if heads == KV_GROUP:
        counts = filled(one, {heads: min(round(mean), one.kv_heads - 1)}, sparsity)
        return [lowest_units(*block, counts) for block in zip(blocks, scores, strict=True)]
    in_group = min(round(mean / one.kv_heads), one.queries_per_group - 1)
    counts = filled(one, {heads: in_group * one.kv_heads}, sparsity)
    return [
        {
            heads: tuple(
                group * one.queries_per_group + place
                for group, some in enumerate(found[heads].split(one.queries_per_group))
                for place in lowest(some, in_group)
            ),
            NEURON: lowest(found[NEURON], counts[NEURON]),
        }
        for found in scores
    ]


def plan_without(
    inputs: Inputs,
    blocks: Sequence[BlockUnits],
    removed: Sequence[Removed],
    changes: Mapping[str, tuple[torch.dtype, Sequence[int]]] | None = None,
    changed: Callable[[Linear, Tensor], Mapping[str, Tensor]] = lambda linear, keep: {},
) -> Plan:
    """The plan that takes units out of `blocks`, `removed` from each; blocks left out are not
    masked.

    `changed` is given a linear and its mask, and returns the tensors that change with it;
    `changes` is what a `Plan` says of them. Raises `InputError` where a block keeps no head or no
    neuron.
    """
    for units, gone in zip(blocks, removed, strict=True):
        for kind, numbers in gone.items():
            if len(numbers) == units.count(kind):
                raise InputError(
                    f"sparsity is {inputs.options.sparsity}: it leaves block {units.block} no "
                    f"{IN_WORDS[kind]}"
                )

    def steps() -> Iterator[PrunedLinear]:
        for units, gone in zip(blocks, removed, strict=True):
            masks = units.keep(gone)
            for linear in units.linears.values():
                keep = masks[linear.name]
                yield PrunedLinear(linear.name, keep, changed(linear, keep))

    names = (linear.name for units in blocks for linear in units.linears.values())
    requested = dict.fromkeys(names, inputs.options.sparsity)
    return Plan(requested, steps(), changes=changes or {})
