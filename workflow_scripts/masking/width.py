"""Which heads and neurons blocks lose, and the plan that takes them out.

Units are known by their kind (`models.units`) and number. What they are worth is float64.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from workflow_scripts.artefacts.masks import Plan, PrunedLinear
from workflow_scripts.config.methods.width import OfUnits
from workflow_scripts.errors import InputError
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import Checkpoint, Linear
from workflow_scripts.models.units import (
    KV_GROUP,
    NEURON,
    QUERY_HEAD,
    BlockUnits,
    Lines,
    block_units,
)

# of one block, by kind: which units go; how many; what they are worth, (units,)
Removed = Mapping[str, Sequence[int]]
Counts = Mapping[str, int]
Scores = Mapping[str, Tensor]
IN_WORDS = {KV_GROUP: "head", QUERY_HEAD: "head", NEURON: "neuron"}


def pruned_blocks(checkpoint: Checkpoint, options: OfUnits) -> tuple[BlockUnits, ...]:
    """The blocks that lose something: all but those that are kept at both ends.

    Raises `InputError` as `block_units` does.
    """
    end = checkpoint.blocks - options.keep_last
    return block_units(checkpoint)[options.keep_first : end]


def plan_by_columns(inputs: Inputs, score: Callable[[Linear, Tensor], Tensor]) -> Plan:
    """The plan of a method that takes the same part of every block, by scores of columns.

    `score` is given o or down of a block and its weight, and says what each of its columns is
    worth, (input,); what its columns are worth together, a unit is.
    """
    options = inputs.options
    blocks = pruned_blocks(inputs.checkpoint, options)
    removed = []
    for units in blocks:
        scores = {
            kind: lines.sums(
                score(lines.linear, checkpoints.load_tensor(inputs.checkpoint, lines.linear.name)),
                units.count(kind),
            )
            for kind, lines in read_by(units, options.heads).items()
        }
        counts = counts_of(units, options, inputs.gone.get(units.block))
        removed.append(lowest_units(units, scores, counts, options))
    return plan_without(inputs, blocks, removed)


def read_by(units: BlockUnits, heads: str) -> dict[str, Lines]:
    """The columns that read the units of a block, of o and of down, by kind."""
    return {kind: units.lines(kind)[-1] for kind in (heads, NEURON)}


def counts_of(units: BlockUnits, options: OfUnits, gone: Counts | None = None) -> Counts:
    """How many units a block loses, by kind, so that the share of its weights is the sparsity.

    Those that are `gone` already are among them.

    Of heads it is that part to the nearest whole number, and neurons make up for the rest; or that
    part of each, rounded down, where `selection` is paper. At least one head and one neuron stay.
    Raises `InputError` where that is more than the block may lose.
    """
    heads, sparsity = options.heads, options.sparsity
    if options.selection == "paper":
        return {kind: int(sparsity * units.count(kind)) for kind in (heads, NEURON)}
    return with_neurons(units, options, sparsity * units.count(heads), gone)


def with_neurons(
    units: BlockUnits, options: OfUnits, heads: float, gone: Counts | None = None
) -> Counts:
    """How many units a block loses, by kind: so many heads, and neurons for the rest.

    The number of heads is rounded, where all blocks are to lose the same to one for every KV group;
    more go where all neurons would not do, and never more than what is asked for. What is `gone`
    already is the least. At least one head (in every group) and one neuron stay. Raises
    `InputError` where all that may go is less than the sparsity asks for.
    """
    wanted = options.sparsity * units.weights
    at_once = units.kv_heads if options.heads == QUERY_HEAD and options.even else 1
    size = at_once * units.unit_weights(options.heads)
    neuron, most_neurons = units.unit_weights(NEURON), units.count(NEURON) - 1
    least = math.ceil((wanted - (most_neurons + 0.5) * neuron) / size)
    lost_heads, lost_neurons = (gone or {}).get(options.heads, 0), (gone or {}).get(NEURON, 0)
    room = int((wanted - lost_neurons * neuron) / size)
    most = min(units.count(options.heads) // at_once - 1, max(room, lost_heads // at_once))
    lost = at_once * min(max(round(heads / at_once), least, lost_heads // at_once), most)
    of_heads = lost * units.unit_weights(options.heads)
    neurons = max(round((wanted - of_heads) / neuron), lost_neurons)
    if neurons > most_neurons:
        share = (of_heads + most_neurons * neuron) / units.weights
        raise InputError(
            f"sparsity is {options.sparsity}: block {units.block} can lose {share:.4f} of its "
            f"weights at most, {lost} of {units.count(options.heads)} heads and all neurons but one"
        )
    return {options.heads: lost, NEURON: neurons}


def lowest_units(units: BlockUnits, scores: Scores, counts: Counts, options: OfUnits) -> Removed:
    """The units of a block with the lowest scores, so many of each kind; of equal ones the earlier.

    Where all blocks are to lose the same, every KV group loses as many of its query heads.
    """
    removed = {kind: lowest(scores[kind], count) for kind, count in counts.items()}
    if options.heads == QUERY_HEAD and options.even:
        size, in_group = units.queries_per_group, counts[QUERY_HEAD] // units.kv_heads
        removed[QUERY_HEAD] = tuple(
            group * size + place
            for group, of_group in enumerate(scores[QUERY_HEAD].split(size))
            for place in lowest(of_group, in_group)
        )
    return removed


def lowest(scores: Tensor, count: int) -> tuple[int, ...]:
    """The numbers of the `count` lowest scores, ascending; of equal ones the earlier."""
    order = torch.sort(scores, stable=True).indices[:count]
    return tuple(sorted(order.tolist()))


def plan_without(
    inputs: Inputs,
    blocks: Sequence[BlockUnits],
    removed: Sequence[Removed],
    changes: Mapping[str, tuple[torch.dtype, Sequence[int]]] | None = None,
    changed: Callable[[Linear, Tensor], Mapping[str, Tensor]] = lambda linear, keep: {},
) -> Plan:
    """The plan that takes units out of `blocks`; the linears of other blocks have no mask.

    `removed` has an entry for each of the blocks. `changed` is given a linear and its mask, and
    returns the tensors that change with it; `changes` is what a `Plan` says of them. Raises
    `InputError` where a block keeps no head or no neuron.
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
