"""Variants made by hand, in memory and as files."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from workflow_scripts.artefacts.mask_records import (
    ChangedTensor,
    MaskedLinear,
    MaskRecord,
)
from workflow_scripts.artefacts.masks import (
    Plan,
    Pruned,
    PrunedLinear,
    VariantFiles,
    pack,
    variant_files,
    write_pruned,
)
from workflow_scripts.models.checkpoints import linears, model_digest, open_checkpoint
from workflow_scripts.models.tensors import DTYPE_NAMES, tensor_bytes


def in_memory(
    model: Path,
    keeps: Mapping[str, Tensor] | None = None,
    removed: tuple[int, ...] = (),
    changed: Mapping[str, Tensor] | None = None,
    scales: Mapping[str, float] | None = None,
) -> Pruned:
    keeps, changed = keeps or {}, changed or {}
    record = MaskRecord(
        method="by hand",
        model_digest="",
        blocks=open_checkpoint(model).blocks,
        removed_blocks=removed,
        linears={
            name: MaskedLinear(shape=tuple(keep.shape), requested=0.5, achieved=0.5)
            for name, keep in keeps.items()
        },
        weights={
            name: ChangedTensor(
                shape=tuple(tensor.shape),
                dtype=DTYPE_NAMES[tensor.dtype],
                sha256=hashlib.sha256(tensor_bytes(tensor)).hexdigest(),
            )
            for name, tensor in changed.items()
        },
        scales=scales or {},
        digest="",
    )
    return Pruned(record, {name: pack(keep) for name, keep in keeps.items()}, changed)


def on_disk(
    folder: Path,
    model: Path,
    keeps: Mapping[str, Tensor],
    removed: tuple[int, ...] = (),
    changed: Mapping[str, Tensor] | None = None,
    scales: Mapping[str, float] | None = None,
    requested: float = 0.3,
) -> VariantFiles:
    """What a variant's stage writes; the changed tensors come with the first linear."""
    changed = changed or {}
    steps = [PrunedLinear(name, keep) for name, keep in keeps.items()]
    if steps:
        steps[0] = steps[0]._replace(changed=changed)
    layout = {name: (tensor.dtype, tensor.shape) for name, tensor in changed.items()}
    plan = Plan(dict.fromkeys(keeps, requested), steps, removed, layout, scales or {})
    files, checkpoint = variant_files(folder), open_checkpoint(model)
    write_pruned(files, plan, checkpoint, model_digest(model), "magnitude", {"option": 1})
    return files


def random_keeps(model: Path, share: float = 0.3, seed: int = 0) -> dict[str, Tensor]:
    """Masks of all linears that remove about that share of each."""
    generator = torch.Generator().manual_seed(seed)
    found = linears(open_checkpoint(model))
    return {x.name: torch.rand(x.shape, generator=generator) > share for x in found}
