"""Safetensors checkpoints opened lazily: names, shapes, one tensor or one block at a time.

torch is imported with the first tensor that is read: names and shapes are all that many jobs need.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json
from workflow_scripts.models.file_names import CONFIG
from workflow_scripts.models.linear_names import (
    BLOCKS,
    LOOKED_FOR,
    ROUTERS,
    is_of_expert,
    modules_of,
)
from workflow_scripts.models.manifests import MANIFEST, check_fetched, fetched_files
from workflow_scripts.models.supported import REFUSED
from workflow_scripts.models.tensor_files import TensorFile, open_tensors

if TYPE_CHECKING:
    import torch
    from torch import Tensor

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
WEIGHTS = ".safetensors"
EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"
WEIGHT_DTYPES = ("BF16", "F16", "F32", "F64")
_IN_BLOCK = re.compile(rf"{re.escape(BLOCKS)}\.(\d+)\.(.+)")


@dataclass(frozen=True)
class Checkpoint:
    """A Hugging Face folder whose headers have been read and whose weights have not.

    `files`, `shapes` and `dtypes` (as safetensors names them) are keyed by tensor name; `shards`
    by the shard's path.
    """

    folder: Path
    config: Mapping[str, Any]
    files: Mapping[str, Path]
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    shards: Mapping[Path, TensorFile]

    @property
    def blocks(self) -> int:
        """The number of blocks that the config gives."""
        blocks = self.config.get("num_hidden_layers")
        if type(blocks) is not int or blocks < 1:
            raise _unknown(self, f"{CONFIG} has num_hidden_layers {blocks!r}")
        return blocks


@dataclass(frozen=True)
class Linear:
    """One linear of one block. `name` is its weight's; `shape` is (output, input features)."""

    name: str
    block: int
    part: str
    role: str
    shape: tuple[int, int]

    @property
    def weights(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def bias(self) -> str:
        """The name of its bias, whether the checkpoint has one or not."""
        return f"{self.name.removesuffix('weight')}bias"

    @property
    def module(self) -> str:
        """The name inside its block, as checkpoints have it."""
        return self.name.removeprefix(block_prefix(self.block)).removesuffix(".weight")

    @property
    def of_expert(self) -> bool:
        """Whether only those tokens enter it that are routed to its expert."""
        return is_of_expert(self.name)


def open_checkpoint(folder: Path) -> Checkpoint:
    """Open a fetched or exported checkpoint by its headers alone.

    Raises `InputError` where config.json or weights are missing, or a shard's size does not agree
    with its header.
    """
    if (folder / INDEX).exists() and not (folder / SINGLE).exists():
        placed = read_json(folder / INDEX)["weight_map"]
        files = {name: folder / shard for name, shard in sorted(placed.items())}
        shards = {path: _open_shard(path) for path in sorted(set(files.values()))}
    else:
        shard = _open_shard(folder / SINGLE)
        files = dict.fromkeys(shard.entries, shard.path)
        shards = {shard.path: shard}
    entries = {name: shards[path].entries[name] for name, path in files.items()}
    return Checkpoint(
        folder=folder,
        config=read_json(folder / CONFIG),
        files=files,
        shapes={name: entry.shape for name, entry in entries.items()},
        dtypes={name: entry.dtype for name, entry in entries.items()},
        shards=shards,
    )


def _open_shard(path: Path) -> TensorFile:
    try:
        return open_tensors(path)
    except InputError:
        check_fetched(path)  # which says what to do about a fetched one
        raise


def model_digest(folder: Path) -> str:
    """The digest in a fetched model's manifest.

    Raises `InputError` where there is none, and where a file of the model, weights left aside, is
    not the one that was fetched.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise InputError(f"{path}: missing: the model was not fetched")
    for name in fetched_files(folder):
        if not name.endswith(WEIGHTS):
            check_fetched(folder / name)
    return read_json(path)["digest"]


def check_weights(folder: Path) -> None:
    """Raise `InputError` where the weights of a fetched model are not those that were fetched.

    Reading tensors by this module checks them by itself. That takes a second for every 2 GB.
    """
    for name in fetched_files(folder):
        if name.endswith(WEIGHTS):
            check_fetched(folder / name)


def split_block(name: str) -> tuple[int, str] | None:
    """(block, rest of the name) of a tensor inside a block, None for any other tensor."""
    match = _IN_BLOCK.fullmatch(name)
    return (int(match[1]), match[2]) if match else None


def block_prefix(block: int) -> str:
    """How the names of a block's tensors start."""
    return f"{BLOCKS}.{block}."


def check_kind(checkpoint: Checkpoint) -> None:
    """Raise `InputError` for a model type that is known and not supported."""
    if reason := REFUSED.get(str(checkpoint.config.get("model_type"))):
        raise _unknown(checkpoint, reason)


def linears(checkpoint: Checkpoint) -> tuple[Linear, ...]:
    """Every linear of every block, in the order of the blocks and of the data flow inside them.

    Raises `InputError` for an architecture with other linears than these, listing what was looked
    for.
    """
    check_kind(checkpoint)
    inside: dict[int, set[str]] = {block: set() for block in range(checkpoint.blocks)}
    for name, shape in checkpoint.shapes.items():
        place = split_block(name)
        if place and place[0] not in inside:
            raise _unknown(checkpoint, f"{CONFIG} has {checkpoint.blocks} blocks, found {name}")
        if place and len(shape) > 1:
            inside[place[0]].add(place[1])
    found = []
    for block, matrices in inside.items():
        modules = modules_of({name.removesuffix(".weight") for name in matrices})
        for module, (part, role) in modules.items():
            name = f"{block_prefix(block)}{module}.weight"
            shape = checkpoint.shapes.get(name)
            if shape is None or len(shape) != 2:
                raise _unknown(checkpoint, f"{name} is {'missing' if shape is None else shape}")
            if checkpoint.dtypes[name] not in WEIGHT_DTYPES:
                raise InputError(
                    f"{checkpoint.files[name]}: {name} is {checkpoint.dtypes[name]}; "
                    f"weights can be {', '.join(WEIGHT_DTYPES)}"
                )
            found.append(Linear(name, block, part, role, (shape[0], shape[1])))
        known = {f"{module}.weight" for module in modules}
        if any(map(is_of_expert, matrices)):
            known |= {*ROUTERS}
        if others := matrices - known:
            name = f"{block_prefix(block)}{min(others)}"
            raise _unknown(checkpoint, f"{name} is another weight matrix")
    if EMBEDDING not in checkpoint.shapes:
        raise _unknown(checkpoint, f"{EMBEDDING} is missing")
    return tuple(found)


def _unknown(checkpoint: Checkpoint, finding: str) -> InputError:
    architecture = (checkpoint.config.get("architectures") or ["?"])[0]
    return InputError(
        f"{checkpoint.folder}: architecture {architecture} is not supported: "
        f"{finding}; looked for {EMBEDDING} and, {LOOKED_FOR}"
    )


def load_tensor(
    checkpoint: Checkpoint, name: str, device: str = "cpu", dtype: torch.dtype | None = None
) -> Tensor:
    """Load one tensor, as `dtype` where one is given.

    It is never in memory in two dtypes. Raises `InputError` where it holds a NaN or infinity; its
    values are checked on the device, which a GPU does at no cost.
    """
    import torch

    from workflow_scripts.models import tensors

    shard = _shard(checkpoint, name)
    shape, stored = checkpoint.shapes[name], tensors.DTYPES.get(checkpoint.dtypes[name])
    if dtype in (None, stored) or not shape:
        tensor = tensors.read_tensor(shard, name).to(device)
        return _finite(tensor, checkpoint, name).to(dtype=dtype)
    whole = torch.empty(shape, dtype=dtype, device=device)
    for rows, part in tensors.read_parts(shard, name):
        whole[rows] = _finite(part.to(device), checkpoint, name)
    return whole


def load_rows(checkpoint: Checkpoint, name: str, rows: Sequence[int]) -> Tensor:
    """Load some rows of a tensor, shape (rows, ...), reading no others."""
    from workflow_scripts.models import tensors

    return _finite(tensors.read_rows(_shard(checkpoint, name), name, rows), checkpoint, name)


def load_block(
    checkpoint: Checkpoint, block: int, dtype: torch.dtype | None = None, device: str = "cpu"
) -> dict[str, Tensor]:
    """Load all tensors of one block by parameter name, as `dtype` where one is given."""
    prefix = block_prefix(block)
    names = sorted(name for name in checkpoint.files if name.startswith(prefix))
    return {name: load_tensor(checkpoint, name, device, dtype) for name in names}


def _shard(checkpoint: Checkpoint, name: str) -> TensorFile:
    if name not in checkpoint.files:
        raise InputError(f"{checkpoint.folder}: has no tensor {name}")
    check_fetched(checkpoint.files[name])
    return checkpoint.shards[checkpoint.files[name]]


def _finite(tensor: Tensor, checkpoint: Checkpoint, name: str) -> Tensor:
    # The extremes carry every NaN and infinity, at the cost of one read and no copy.
    may_be_wrong = tensor.is_floating_point() and tensor.numel()
    if may_be_wrong and not all(extreme.isfinite() for extreme in tensor.aminmax()):
        raise InputError(f"{checkpoint.files[name]}: {name} holds NaN or infinite values")
    return tensor
