"""Masks: what a variant removes from a model. Packing, writing, reading, applying.

A mask is a bit for every weight of the linears that are masked (1 = kept) and a list of removed
blocks; block numbers and names are those of the dense model. `mask.safetensors` holds the bits,
`mask.json` the rest, with the achieved sparsity of every linear.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json, write_json
from workflow_scripts.files.digests import value_digest
from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import Linear
from workflow_scripts.models.tensor_files import TensorFile, open_tensors
from workflow_scripts.models.tensors import read_tensor, write_tensors

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FORMAT = 1
_RECORD_TYPES = {"linears": dict, "removed_blocks": list, "blocks": int, "model_digest": str}


@dataclass(frozen=True)
class Mask:
    """A mask as read. `keep` gives a linear's packed bits (uint8) by its weight's name."""

    keep: Mapping[str, np.ndarray]
    shapes: Mapping[str, tuple[int, int]]
    removed_blocks: tuple[int, ...]
    blocks: int
    model_digest: str
    digest: str

    @property
    def kept_blocks(self) -> tuple[int, ...]:
        return tuple(i for i in range(self.blocks) if i not in self.removed_blocks)


@dataclass(frozen=True)
class MaskPlan:
    """What a method removes: the bits come one linear at a time, so that one is in memory.

    `requested` holds the sparsity asked of every masked linear; `keeps` yields each of them once,
    with a bool tensor of the weight's shape, True = kept. The default removes nothing.
    """

    requested: Mapping[str, float] = field(default_factory=dict)
    keeps: Iterable[tuple[str, Tensor]] = ()
    removed_blocks: tuple[int, ...] = ()


class _PackedBits(Mapping[str, np.ndarray]):
    """The packed bits in a mask file, each read when asked for."""

    def __init__(self, file: TensorFile) -> None:
        self._file = file

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._file.entries:
            raise KeyError(name)
        return read_tensor(self._file, name).numpy()

    def __iter__(self) -> Iterator[str]:
        return iter(self._file.entries)

    def __len__(self) -> int:
        return len(self._file.entries)


def pack(keep: Tensor) -> np.ndarray:
    """Pack a bool tensor, row by row, eight weights a byte, the first in the lowest bit."""
    return np.packbits(keep.reshape(-1).numpy(), bitorder="little")


def unpack(packed: np.ndarray, shape: Sequence[int]) -> Tensor:
    """The bool tensor of that shape that `pack` packed."""
    bits = np.unpackbits(packed, count=math.prod(shape), bitorder="little")
    return torch.from_numpy(bits.view(np.bool_)).reshape(tuple(shape))


def write_mask(
    mask_path: Path,
    record_path: Path,
    plan: MaskPlan,
    linears: Sequence[Linear],
    model_digest: str,
    method: str,
    options: Mapping[str, Any],
) -> None:
    """Carry out a plan for a model with these linears; write the mask and then its record.

    The record's digest covers the removed blocks and the name, shape and bits of every linear.
    """
    shapes = {linear.name: linear.shape for linear in linears if linear.name in plan.requested}
    layout = {name: (torch.uint8, (_packed_length(shape),)) for name, shape in shapes.items()}
    bits: dict[str, str] = {}
    pruned: dict[str, int] = {}

    def packed() -> Iterator[tuple[str, Tensor]]:
        for name, keep in plan.keeps:
            if tuple(keep.shape) != shapes[name]:
                raise ValueError(f"{name}: mask of shape {tuple(keep.shape)}, not {shapes[name]}")
            pruned[name] = keep.numel() - int(keep.sum())
            content = pack(keep)
            bits[name] = hashlib.sha256(content).hexdigest()
            yield name, torch.from_numpy(content)

    write_tensors(mask_path, layout, packed(), {})
    removed = sum(
        linear.weights if linear.block in plan.removed_blocks else pruned.get(linear.name, 0)
        for linear in linears
    )
    record = {
        "format": FORMAT,
        "method": method,
        "options": dict(options),
        "model_digest": model_digest,
        "blocks": 1 + max(linear.block for linear in linears),
        "removed_blocks": sorted(plan.removed_blocks),
        "linears": {
            name: {
                "shape": list(shape),
                "requested": plan.requested[name],
                "achieved": pruned[name] / math.prod(shape),
            }
            for name, shape in shapes.items()
        },
        "removed_fraction": removed / sum(linear.weights for linear in linears),
        "digest": _digest(sorted(plan.removed_blocks), shapes, bits),
    }
    write_json(record_path, record)


def read_mask(mask_path: Path, record_path: Path, model_digest: str | None = None) -> Mask:
    """Read a mask and its record, every bit held against the record's digest.

    Raises `InputError` where a file is missing or damaged, the two do not belong together, or the
    mask was not made for the model with `model_digest` (where one is given).
    """
    record = read_json(record_path)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(f"{record_path}: not a mask's record of format {FORMAT}")
    for key, kind in _RECORD_TYPES.items():
        if type(record.get(key)) is not kind:
            raise InputError(f"{record_path}: {key} is {record.get(key)!r}, not a {kind.__name__}")
    if model_digest is not None and record["model_digest"] != model_digest:
        raise InputError(
            f"{record_path}: mask of another model (digest {record['model_digest']}, this model's "
            f"is {model_digest})"
        )
    removed = record["removed_blocks"]
    rising = [block for block in range(record["blocks"]) if block in removed]
    if removed != rising or len(removed) == record["blocks"]:
        raise InputError(
            f"{record_path}: removed_blocks is {removed}, not some of {record['blocks']} blocks"
        )
    shapes = {name: _shape(record_path, name, row) for name, row in record["linears"].items()}
    file = open_tensors(mask_path)
    if set(file.entries) != set(shapes):
        name = min(set(file.entries) ^ set(shapes))
        raise InputError(f"{mask_path}: {name} stands only in one of the mask and {record_path}")
    for name, shape in shapes.items():
        entry = file.entries[name]
        if entry.dtype != "U8" or entry.shape != (_packed_length(shape),):
            raise InputError(f"{mask_path}: {name} does not hold the packed bits of shape {shape}")
    keep = _PackedBits(file)
    bits = {name: hashlib.sha256(keep[name]).hexdigest() for name in shapes}
    if _digest(removed, shapes, bits) != record.get("digest"):
        raise InputError(
            f"{mask_path}: damaged: its digest is not the one in {record_path}; delete both and "
            "start again, they are made anew"
        )
    return Mask(
        keep=keep,
        shapes=shapes,
        removed_blocks=tuple(removed),
        blocks=record["blocks"],
        model_digest=record["model_digest"],
        digest=record["digest"],
    )


def dense_mask(model_digest: str, blocks: int) -> Mask:
    """The mask of a model with that digest and number of blocks that removes nothing."""
    return Mask({}, {}, (), blocks, model_digest, _digest([], {}, {}))


def _packed_length(shape: Sequence[int]) -> int:
    return -(-math.prod(shape) // 8)


def _shape(record_path: Path, name: str, row: Any) -> tuple[int, int]:
    shape = row.get("shape") if isinstance(row, dict) else None
    if not (
        isinstance(shape, list) and len(shape) == 2 and all(type(n) is int and n > 0 for n in shape)
    ):
        raise InputError(f"{record_path}: {name} has shape {shape!r}, not [output, input]")
    return shape[0], shape[1]


def _digest(
    removed: Sequence[int], shapes: Mapping[str, tuple[int, int]], bits: Mapping[str, str]
) -> str:
    """`bits` holds the sha256 of every linear's packed bits, so that they need not be together."""
    linears = {name: [list(shape), bits[name]] for name, shape in shapes.items()}
    return value_digest({"removed_blocks": list(removed), "linears": linears})


def check_fit(mask: Mask, shapes: Mapping[str, tuple[int, ...]], blocks: int) -> None:
    """Raise `InputError` unless a mask fits parameters of these shapes and this many blocks."""
    if blocks != mask.blocks:
        raise InputError(f"mask is for a model of {mask.blocks} blocks, this one has {blocks}")
    for name, shape in mask.shapes.items():
        if name not in shapes:
            raise InputError(f"mask has {name}, which the model has not")
        if tuple(shapes[name]) != shape:
            raise InputError(f"mask has {name} of shape {shape}, the model {tuple(shapes[name])}")


@torch.no_grad()
def apply_mask(model: "PreTrainedModel", mask: Mask) -> None:
    """Prune a loaded model in place: zero the pruned weights, take out the removed blocks.

    The blocks left are renumbered, for the key-value cache, and the config is shortened with them.
    Raises `InputError`, and leaves the model as it was, where the mask does not fit.
    """
    layers = model.get_submodule(checkpoints.BLOCKS)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    check_fit(mask, shapes, len(layers))
    for name, shape in mask.shapes.items():
        weight = model.get_parameter(name)
        weight.masked_fill_(~unpack(mask.keep[name], shape).to(weight.device), 0)
    if not mask.removed_blocks:
        return
    for block in reversed(mask.removed_blocks):
        del layers[block]
    for number, layer in enumerate(layers):
        for module in layer.modules():
            if hasattr(module, "layer_idx"):
                module.layer_idx = number
    for key, value in shortened_config(model.config.to_dict(), mask.kept_blocks).items():
        setattr(model.config, key, value)


def shortened_config(config: Mapping[str, Any], kept_blocks: Sequence[int]) -> dict[str, Any]:
    """The entries of a config that change when only `kept_blocks` of its blocks stay.

    Those are the number of blocks, every list with one item a block (`layer_types` and its like;
    lists of token ids and class names are none, whatever their length), and `max_window_layers`,
    the first block with a sliding window.
    """
    blocks = config["num_hidden_layers"]
    changes: dict[str, Any] = {"num_hidden_layers": len(kept_blocks)}
    for key, value in config.items():
        per_block = isinstance(value, list | tuple) and len(value) == blocks
        if per_block and "token" not in key and key != "architectures":
            changes[key] = [value[block] for block in kept_blocks]
    if type(config.get("max_window_layers")) is int:
        first = config["max_window_layers"]
        changes["max_window_layers"] = sum(block < first for block in kept_blocks)
    return changes
