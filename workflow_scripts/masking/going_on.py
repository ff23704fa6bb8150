"""Pruning a model further that was pruned before, and perhaps trained since.

The mask is made for the model as it is now, in a folder of its own while that takes, and becomes
one of the dense model: what is gone stays gone, what was trained stays, blocks and tensors have
their dense numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from workflow_scripts.artefacts.mask_records import BlockScores, MaskRecord
from workflow_scripts.artefacts.masks import Plan, Pruned, PrunedLinear
from workflow_scripts.artefacts.narrow import Narrow
from workflow_scripts.artefacts.pruned_checkpoints import export
from workflow_scripts.config.methods.base import Method
from workflow_scripts.config.methods.width import OfUnits
from workflow_scripts.files.atomic import remove
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.masking.width import Counts, read_by
from workflow_scripts.models.checkpoints import (
    Checkpoint,
    block_prefix,
    linears,
    open_checkpoint,
    split_block,
)
from workflow_scripts.models.tensors import DTYPES
from workflow_scripts.models.units import Lines, block_units


@contextmanager
def going_on(inputs: Inputs, start: Pruned | None, mask: Path) -> Iterator[Inputs]:
    """What a method works from where `start` has made something else of the dense model; without
    it the same.

    The model as it is stands in a folder beside `mask` for a while; its linears have their dense
    shapes.
    """
    if start is None:
        yield inputs
        return
    folder = mask.with_name(f".{mask.name}.start")
    remove(folder)  # of a job that was killed
    try:
        export(inputs.checkpoint, start, folder, narrow=Narrow())
        checkpoint = open_checkpoint(folder)
        yield replace(
            inputs,
            checkpoint=checkpoint,
            linears=linears(checkpoint),
            options=left_to_remove(inputs.options, start),
            gone=units_gone(inputs.checkpoint, start, inputs.options),
        )
    finally:
        remove(folder)


def left_to_remove(options: Method, start: Pruned) -> Method:
    """The entry as a model is told it that has lost blocks already: so many fewer."""
    if options.family != "depth":
        return options
    left = options.much - len(start.record.removed_blocks)
    return options.model_copy(update={options.amount: left})


def units_gone(checkpoint: Checkpoint, start: Pruned, options: Method) -> dict[int, Counts]:
    """How many heads and neurons every block has lost, by kind: no column reads them any more."""
    if not isinstance(options, OfUnits):
        return {}

    def gone(lines: Lines, count: int) -> int:
        name = lines.linear.name
        if name not in start.record.linears:
            return 0
        columns = start.kept(name).any(dim=0).double()
        return int((lines.sums(columns, count) == 0).sum())

    return {
        units.block: {
            kind: gone(lines, units.count(kind))
            for kind, lines in read_by(units, options.heads).items()
        }
        for units in block_units(checkpoint)
    }


def joined(plan: Plan, start: Pruned) -> Plan:
    """The plan for the dense model that leaves what `plan`, made for the model that is left, does.

    `plan` changes no tensors.
    """
    record, numbers = start.record, start.record.kept_blocks

    def dense(name: str) -> str:
        block, rest = split_block(name)
        return block_prefix(numbers[block]) + rest

    new = {dense(name): share for name, share in plan.requested.items()}
    old = {name: x.requested for name, x in record.linears.items() if name not in new}

    def steps() -> Iterator[PrunedLinear]:
        for found in plan.linears:
            name, keep = dense(found.name), found.keep
            yield PrunedLinear(name, keep & start.kept(name) if name in record.linears else keep)
        for name in old:
            yield PrunedLinear(name, start.kept(name))

    removed = {*record.removed_blocks, *(numbers[block] for block in plan.removed_blocks)}
    brought = [name for name in record.weights if _block_of(name) not in removed]
    scaled = {name: s for name, s in record.scales.items() if _block_of(name) not in removed}
    return Plan(
        requested=new | old,
        linears=steps(),
        removed_blocks=tuple(sorted(removed)),
        changes={
            name: (DTYPES[record.weights[name].dtype], record.weights[name].shape)
            for name in brought
        },
        scales=scaled,
        scores=(*record.scores, *(_spread(one, record) for one in plan.scores)),
        tensors=((name, start.weights[name]) for name in brought),
    )


def _block_of(name: str) -> int | None:
    place = split_block(name)
    return place and place[0]


def _spread(scores: BlockScores, record: MaskRecord) -> BlockScores:
    """Scores of the blocks that were left, by their dense numbers."""
    found = dict(zip(record.kept_blocks, scores.values, strict=True))
    values = tuple(found.get(block) for block in range(record.blocks))
    return scores.model_copy(update={"values": values})
