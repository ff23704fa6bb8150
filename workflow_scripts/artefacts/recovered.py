"""What training after pruning makes of a variant: the same mask, other weights."""

import shutil
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workflow_scripts.artefacts.mask_records import (
    LORA_A,
    LORA_B,
    ChangedTensor,
    DynamicRecord,
    variant_digest,
)
from workflow_scripts.artefacts.masks import Pruned, VariantFiles
from workflow_scripts.artefacts.pruned_checkpoints import note_export
from workflow_scripts.artefacts.weights import changed_names, weights_writer, with_delta
from workflow_scripts.files.atomic import write_json, written_atomically
from workflow_scripts.models.checkpoints import Checkpoint, load_tensor
from workflow_scripts.models.routing import is_router_tensor
from workflow_scripts.models.tensors import DTYPES, tensor_digest

Layout = Mapping[str, tuple[torch.dtype, Sequence[int]]]


def write_recovered(
    files: VariantFiles,
    start: Pruned,
    mask: Path,
    checkpoint: Checkpoint,
    trained: Mapping[str, Tensor],
    scale: float | None,
    recovery: Mapping[str, Any],
    dynamic: DynamicRecord | None = None,
) -> None:
    """Write the mask, the weights and the record of a variant that was trained.

    `start` is what training started from, `mask` the path of its mask, which is copied. `trained`
    holds low-rank deltas in fp32 as `weights` names them, with their scale, or whole weights by
    name, with None. Deltas are kept as they are, behind those that the start has of the same
    tensors; a sliced model, whose weights are all in the file, has them added to its own. A whole
    weight takes the place of the start's, in its dtype. `recovery` is what the record says of it,
    `dynamic` what it says of routers that were trained.
    """
    routers = {name: tensor for name, tensor in trained.items() if is_router_tensor(name)}
    start = replace(start, weights=ChainMap(routers, start.weights))
    rest = {name: tensor for name, tensor in trained.items() if name not in routers}
    brought = _Brought(start, checkpoint, rest, scale)
    weights: dict[str, ChangedTensor] = {}
    scales = brought.scales
    with weights_writer(files.weights, brought.layout, scales, weights) as put:
        for name in sorted(brought.layout):
            put(name, brought.tensor(name))
    with written_atomically(files.mask) as temporary:
        shutil.copyfile(mask, temporary)
    old = start.record
    shapes = {name: linear.shape for name, linear in old.linears.items()}
    bits = {name: tensor_digest(packed) for name, packed in start.keep.items()}
    new = {
        "weights": weights,
        "scales": scales,
        "recovery": recovery,
        "digest": variant_digest(old.removed_blocks, shapes, bits, weights, scales, old.routing),
    } | ({} if dynamic is None else {"dynamic": dynamic})
    record = old.model_copy(update=new)
    write_json(files.record, record.model_dump(mode="json"))
    note_export(files, checkpoint)


class _Brought:
    """The tensors that a trained variant brings along; one is computed when it is asked for."""

    def __init__(
        self,
        start: Pruned,
        checkpoint: Checkpoint,
        trained: Mapping[str, Tensor],
        scale: float | None,
    ) -> None:
        self._start, self._checkpoint = start, checkpoint
        self._trained, self._scale = trained, scale
        self._names = changed_names(trained)
        self._apart = scale is not None and start.record.sliced_width is None
        self.layout: Layout = dict(self._layout())
        kept = {name: s for name, s in start.record.scales.items() if name not in self._names}
        self.scales = kept | (dict.fromkeys(sorted(self._names), scale) if self._apart else {})

    def tensor(self, name: str) -> Tensor:
        """One of `layout`, on the CPU."""
        whole = name.removesuffix(LORA_A).removesuffix(LORA_B)
        old = self._start.record
        if whole not in self._names or (self._apart and name == whole):
            return self._start.weights[name]
        if self._apart:
            own = self._trained[name].cpu()
            if name not in old.weights:
                return own
            before = self._start.weights[name].float()
            if name.endswith(LORA_A):
                return torch.cat([before, own])
            return torch.cat([before * (old.scales[whole] / self._scale), own], dim=1)
        dtype, shape = self.layout[name]
        if self._scale is None:
            tensor = self._trained[name].cpu().to(dtype)
        else:
            here = name in old.weights
            tensor = self._start.weights[name] if here else load_tensor(self._checkpoint, name)
            deltas = {key: self._trained[key].cpu() for key in (name + LORA_A, name + LORA_B)}
            tensor = with_delta(tensor, name, deltas, self._scale)
        return tensor.masked_fill(~self._start.kept(name), 0) if name in old.linears else tensor

    def _layout(self) -> Iterator[tuple[str, tuple[torch.dtype, Sequence[int]]]]:
        """Dtype and shape of all tensors by name."""
        old = self._start.record.weights
        for name, tensor in old.items():
            whole = name.removesuffix(LORA_A).removesuffix(LORA_B)
            if whole not in self._names or name == whole:
                yield name, (DTYPES[tensor.dtype], tensor.shape)
        if not self._apart:
            for name in self._names - old.keys():
                dtype = DTYPES[self._checkpoint.dtypes[name]]
                yield name, (dtype, self._checkpoint.shapes[name])
            return
        for name, tensor in self._trained.items():
            rank = old[name].shape[name.endswith(LORA_B)] if name in old else 0
            a, b = tensor.shape
            shape = (a, b + rank) if name.endswith(LORA_B) else (a + rank, b)
            yield name, (torch.float32, shape)
