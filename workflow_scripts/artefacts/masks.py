"""What a variant does to a model: what it removes and what it changes. Writing and reading.

    mask.safetensors      a bit for every weight of the linears that are masked, 1 = kept
    weights.safetensors   the tensors that it changes or adds, see `weights`
    mask.json             the removed blocks and all that is said of the other two

Block numbers and names are those of the dense model.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.artefacts.config_changes import config_changes
from workflow_scripts.artefacts.mask_records import (
    BlockScores,
    ChangedTensor,
    DynamicRecord,
    MaskedLinear,
    MaskRecord,
    read_mask_record,
    variant_digest,
)
from workflow_scripts.artefacts.removal_ratios import count_removed
from workflow_scripts.artefacts.weights import read_weights, weights_writer
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import write_json
from workflow_scripts.models import checkpoints
from workflow_scripts.models.block_removal import check_removable
from workflow_scripts.models.checkpoints import Checkpoint
from workflow_scripts.models.routing import PARTS, Routing
from workflow_scripts.models.sliced import folded_scales
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import StoredTensors, tensor_digest, tensor_writer


class VariantFiles(NamedTuple):
    """The three files that say what a variant does to a model."""

    mask: Path
    weights: Path
    record: Path


def variant_files(folder: Path) -> VariantFiles:
    """Those in a variant's folder."""
    return VariantFiles(
        folder / "mask.safetensors", folder / "weights.safetensors", folder / "mask.json"
    )


@dataclass(frozen=True)
class Pruned:
    """A variant of a model, as read: its record, packed bits (uint8) and changed tensors by name.

    `keep` is keyed by the masked linears' weights; both mappings read a tensor when asked for it.
    """

    record: MaskRecord
    keep: Mapping[str, Tensor]
    weights: Mapping[str, Tensor]

    @property
    def digest(self) -> str:
        return self.record.digest

    @property
    def is_dense(self) -> bool:
        record = self.record
        return not (record.linears or record.removed_blocks or record.weights)

    def kept(self, name: str) -> Tensor:
        """Which weights of a masked linear stay: bool, (output, input)."""
        return unpack(self.keep[name], self.record.linears[name].shape)


class PrunedLinear(NamedTuple):
    """What a method makes of one linear: the weight's name, which weights stay (bool), and tensors
    that change with it, as `weights.safetensors` names them.
    """

    name: str
    keep: Tensor
    changed: Mapping[str, Tensor] = {}


@dataclass(frozen=True)
class Plan:
    """What a method does, one linear at a time, so that one is in memory.

    `requested` holds the sparsity asked of every masked linear and `linears` yields each of them
    once. `changes` gives dtype and shape of every tensor that will come with them, or from
    `tensors`, which yields name and tensor of those that go with no mask; `scales` the scales of
    low-rank deltas by parameter name, `scores` what chose among whole blocks. A `sliced_width` says
    that the tensors are those of `models.sliced`, a `routing` that they are the routers of
    `models.routed`. The default does nothing.
    """

    requested: Mapping[str, float] = field(default_factory=dict)
    linears: Iterable[PrunedLinear] = ()
    removed_blocks: tuple[int, ...] = ()
    changes: Mapping[str, tuple[torch.dtype, Sequence[int]]] = field(default_factory=dict)
    scales: Mapping[str, float] = field(default_factory=dict)
    scores: tuple[BlockScores, ...] = ()
    tensors: Iterable[tuple[str, Tensor]] = ()
    sliced_width: int | None = None
    routing: Routing | None = None


def pack(keep: Tensor) -> Tensor:
    """Pack a bool tensor, row by row, eight weights a byte (uint8), the first in the lowest bit."""
    return torch.from_numpy(np.packbits(keep.reshape(-1).numpy(), bitorder="little"))


def unpack(packed: Tensor, shape: Sequence[int]) -> Tensor:
    """The bool tensor of that shape that `pack` packed."""
    bits = np.unpackbits(packed.numpy(), count=math.prod(shape), bitorder="little")
    return torch.from_numpy(bits.view(np.bool_)).reshape(tuple(shape))


def write_pruned(
    files: VariantFiles,
    plan: Plan,
    checkpoint: Checkpoint,
    model_digest: str,
    method: str,
    options: Mapping[str, Any],
    requested: float = 0.0,
) -> None:
    """Carry out a plan for a checkpoint; write the mask, the weights and then their record.

    `requested` is the share that was asked for. What is masked counts as removed, whatever else is
    changed or added; so are the scales of norms that a sliced model has not. Raises `InputError`
    for blocks that cannot be removed from such a model.
    """
    linears = checkpoints.linears(checkpoint)
    if plan.removed_blocks:
        check_removable(checkpoint)
    shapes = {linear.name: linear.shape for linear in linears if linear.name in plan.requested}
    layout = {name: (torch.uint8, (_packed_length(shape),)) for name, shape in shapes.items()}
    bits: dict[str, str] = {}
    pruned: dict[str, int] = {}
    weights: dict[str, ChangedTensor] = {}
    with (
        weights_writer(files.weights, plan.changes, plan.scales, weights) as put_tensor,
        tensor_writer(files.mask, layout, {}) as put_bits,
    ):
        for name, keep, changed in plan.linears:
            if tuple(keep.shape) != shapes[name]:
                raise ValueError(f"{name}: mask of shape {tuple(keep.shape)}, not {shapes[name]}")
            packed = pack(keep)
            pruned[name] = keep.numel() - int(keep.sum())
            bits[name] = tensor_digest(packed)
            put_bits(name, packed)
            for changed_name, tensor in changed.items():
                put_tensor(changed_name, tensor)
        for changed_name, tensor in plan.tensors:
            put_tensor(changed_name, tensor)
    blocks = tuple(sorted(plan.removed_blocks))
    stored = {name: tensor.shape for name, tensor in weights.items()}
    config, engines = {}, ("transformers",)
    if plan.sliced_width is None and plan.routing is None:
        with suppress(InputError):  # raised where no checkpoint of any architecture holds them
            config, engines = config_changes(checkpoint, weights), None
    elif plan.sliced_width is not None:
        scales = folded_scales(checkpoint)
        pruned |= {name: math.prod(checkpoint.shapes[name]) for name in scales}
    removed = count_removed(checkpoint, blocks, pruned, stored)
    record = MaskRecord(
        method=method,
        options=dict(options),
        model_digest=model_digest,
        blocks=checkpoint.blocks,
        removed_blocks=blocks,
        linears={
            name: MaskedLinear(
                shape=shape,
                requested=plan.requested[name],
                achieved=pruned[name] / math.prod(shape),
            )
            for name, shape in shapes.items()
        },
        requested=requested,
        removed_fraction=removed.of_blocks,
        removed_of_all=removed.of_all,
        parameters=removed.parameters,
        weights=weights,
        scales=dict(plan.scales),
        scores=plan.scores,
        sliced_width=plan.sliced_width,
        dynamic=plan.routing and dynamic_record(checkpoint, plan.routing),
        config=config,
        engines=engines,
        digest=variant_digest(blocks, shapes, bits, weights, plan.scales, plan.routing),
    )
    write_json(files.record, record.model_dump(mode="json"))


def read_pruned(files: VariantFiles, model_digest: str | None = None) -> Pruned:
    """Read what a variant does, every bit of its mask held against the record's digest.

    Raises `InputError` where a file is missing or damaged, the three do not belong together, or
    they were not made for the model with `model_digest` (where one is given).
    """
    record = read_mask_record(files.record, model_digest)
    shapes = {name: linear.shape for name, linear in record.linears.items()}
    file = open_tensors(files.mask, checksum=False)  # the record's digest covers it
    keep = StoredTensors(file)
    bits = {name: tensor_digest(packed) for name, packed in keep.items()}
    if bits.keys() != shapes.keys() or record.digest != variant_digest(
        record.removed_blocks, shapes, bits, record.weights, record.scales, record.routing
    ):
        raise InputError(
            f"{files.mask}: damaged: its digest is not the one in {files.record}; delete both and "
            "start again, they are made again"
        )
    return Pruned(record, keep, read_weights(files.weights, record))


def nothing_pruned(model_digest: str, blocks: int, removed_blocks: Iterable[int] = ()) -> Pruned:
    """A model with that digest and number of blocks, whole or without some of its blocks."""
    removed = tuple(sorted(removed_blocks))
    record = MaskRecord(
        method="dense",
        model_digest=model_digest,
        blocks=blocks,
        removed_blocks=removed,
        digest=variant_digest(removed, {}, {}, {}, {}),
    )
    return Pruned(record, {}, {})


def dynamic_record(checkpoint: Checkpoint, routing: Routing) -> DynamicRecord:
    """What is known of a dynamic variant before its routers are trained.

    A token that skips attention uses none of its weights, unless its keys and values stay.
    """
    linears = [x for x in checkpoints.linears(checkpoint) if x.block == 0]
    used = ("k", "v") if routing.keys == "kept" else ()
    whole = sum(linear.weights for linear in linears)
    spared = {
        part: sum(x.weights for x in linears if x.part == part and x.role not in used) / whole
        for part in PARTS
    }
    return DynamicRecord(routing=routing, spared=spared)


def _packed_length(shape: Sequence[int]) -> int:
    return -(-math.prod(shape) // 8)
