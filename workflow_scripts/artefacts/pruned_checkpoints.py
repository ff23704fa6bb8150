"""A checkpoint as a variant leaves it: tensor by tensor, in a loaded model, as a folder.

All three have the same weights to the bit. They keep the checkpoint's dtype; pruned ones are zero,
removed blocks are gone and those left are renumbered. Of a folder heads and neurons are left out
that are zeros as a whole, where that can be (`narrow`). One tensor at a time is in memory.
"""

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from workflow_scripts.artefacts.config_changes import FLAGS, config_changes, linear_biases
from workflow_scripts.artefacts.mask_records import LORA_A, Export
from workflow_scripts.artefacts.masks import Pruned, VariantFiles, read_pruned
from workflow_scripts.artefacts.narrow import Narrow, narrowed
from workflow_scripts.artefacts.removal_ratios import count_parameters
from workflow_scripts.artefacts.weights import BIAS, changed_names, with_delta
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import write_json, written_atomically
from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import Checkpoint
from workflow_scripts.models.experts import as_stored, experts_place
from workflow_scripts.models.file_names import may_be_of_checkpoint
from workflow_scripts.models.linear_names import BLOCKS
from workflow_scripts.models.routed import route_model, router_shapes
from workflow_scripts.models.sliced import slice_model, sliced_shapes
from workflow_scripts.models.tensors import DTYPES, write_tensors

if TYPE_CHECKING:
    from transformers import PreTrainedModel

REWRITTEN = (checkpoints.CONFIG, checkpoints.INDEX)
WHOLE = Narrow()


@dataclass(frozen=True)
class ExportedTensor:
    """A tensor of the pruned model: its name in the dense one, dtype, shape, and shard's file."""

    source: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    shard: str


def check_fit(pruned: Pruned, shapes: Mapping[str, tuple[int, ...]], blocks: int) -> None:
    """Raise `InputError` unless a variant fits parameters of these shapes and this many blocks."""
    record = pruned.record
    if blocks != record.blocks:
        raise InputError(f"mask is for a model of {record.blocks} blocks, this one has {blocks}")
    found = {name: linear.shape for name, linear in record.linears.items()}
    if record.routing:
        routers = router_shapes(record.routing, shapes[checkpoints.EMBEDDING][1])
        if missing := routers.keys() - record.weights.keys():
            raise InputError(f"the variant lacks {min(missing)}, which its record asks for")
        shapes = {**shapes, **routers}
    found |= {name: tensor.shape for name, tensor in record.weights.items() if name in shapes}
    found |= dict.fromkeys(changed_names(record.weights) - found.keys())  # deltas, new biases
    for name, shape in found.items():
        known = shapes.get(name, shapes.get(name.removesuffix(BIAS) + ".weight"))
        if known is None or shape not in (None, tuple(known)):
            said = f"the variant has {name} of shape {shape}"
            raise InputError(f"{said}, the model {known or 'has none'}")


def exported_tensors(
    checkpoint: Checkpoint, pruned: Pruned, narrow: Narrow = WHOLE
) -> dict[str, ExportedTensor]:
    """What the pruned model holds, by the names it has once the blocks are renumbered.

    Where biases are new, every linear of that part of a block has one: of zeros if need be. With
    `narrow` shapes are of what is left. Raises `InputError` where the variant does not fit, or no
    plain checkpoint can hold the result.
    """
    if pruned.record.sliced_width is not None or pruned.record.dynamic is not None:
        raise InputError(
            f"{checkpoint.folder}: no plain checkpoint has a place for what method "
            f"{pruned.record.method} adds to a model: its variants cannot be exported; "
            "generation.engine: transformers runs them"
        )
    check_fit(pruned, checkpoint.shapes, checkpoint.blocks)
    changes = {**config_changes(checkpoint, pruned.record.weights), **narrow.config}
    entries = {}
    for name, path in checkpoint.files.items():
        dtype, shape = DTYPES[checkpoint.dtypes[name]], checkpoint.shapes[name]
        entries[name] = ExportedTensor(name, dtype, shape, path.name)
    for part, name in linear_biases(checkpoint):
        if changes.get(FLAGS[part]) and name not in entries:
            weight = entries[name.removesuffix(BIAS) + ".weight"]
            entries[name] = ExportedTensor(name, weight.dtype, weight.shape[:1], weight.shard)
    numbers = {block: number for number, block in enumerate(pruned.record.kept_blocks)}
    found = {}
    for name, whole in entries.items():
        entry = replace(whole, shape=narrow.shape(name, whole.shape))
        place = checkpoints.split_block(name)
        if place is None:
            found[name] = entry
        elif place[0] in numbers:
            found[checkpoints.block_prefix(numbers[place[0]]) + place[1]] = entry
    return found


def pruned_tensor(
    checkpoint: Checkpoint, pruned: Pruned, entry: ExportedTensor, narrow: Narrow = WHOLE
) -> Tensor:
    """One tensor of the pruned model: changed, with its delta and mask; a new bias. Of `entry`'s
    shape, which `exported_tensors` gave with the same `narrow`.
    """
    name, record = entry.source, pruned.record
    if name in record.weights:
        tensor = pruned.weights[name].to(entry.dtype)
    elif name in checkpoint.files:
        tensor = checkpoints.load_tensor(checkpoint, name)
    else:
        return torch.zeros(entry.shape, dtype=entry.dtype)
    if name + LORA_A in record.weights:
        tensor = with_delta(tensor, name, pruned.weights, record.scales[name])
    if name in record.linears:
        tensor = tensor.masked_fill(~pruned.kept(name), 0)
    return narrow.cut(name, tensor)


def pruned_tensors(checkpoint: Checkpoint, pruned: Pruned) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of the pruned model by its name there, one at a time, none of them narrower.

    Raises `InputError` as `exported_tensors` does.
    """
    for name, entry in exported_tensors(checkpoint, pruned).items():
        yield name, pruned_tensor(checkpoint, pruned, entry)


def note_export(files: VariantFiles, checkpoint: Checkpoint) -> None:
    """Say in a variant's record what the checkpoint holds that it can be exported as."""
    pruned = read_pruned(files)
    try:
        narrow = narrowed(checkpoint, pruned)
        entries = exported_tensors(checkpoint, pruned, narrow)
    except InputError:
        return
    shapes = {name: entry.shape for name, entry in entries.items()}
    size = Export(
        parameters=count_parameters(checkpoint, shapes),
        bytes=sum(e.dtype.itemsize * math.prod(e.shape) for e in entries.values()),
        units=narrow.units,
    )
    record = pruned.record.model_copy(update={"export": size})
    write_json(files.record, record.model_dump(mode="json"))


def exported_config(checkpoint: Checkpoint, pruned: Pruned) -> dict[str, Any]:
    """config.json of the pruned model: for the blocks that stay and the biases that are new.

    Lists with one item a block come from the config as transformers completes it: one that
    config.json leaves to a default would be completed otherwise, and wrongly, for fewer blocks.
    """
    changes = config_changes(checkpoint, pruned.record.weights)
    if pruned.record.removed_blocks:
        from workflow_scripts.models.architectures import load_config

        complete = load_config(checkpoint).to_dict()
        changes = shortened_config(complete, pruned.record.kept_blocks) | changes
    merged = {**checkpoint.config, **changes}
    return {k: v for k, v in merged.items() if k not in changes or v is not None}


def export(
    checkpoint: Checkpoint,
    pruned: Pruned,
    output: Path,
    texts: Mapping[str, str] | None = None,
    narrow: Narrow | None = None,
) -> None:
    """Write the pruned model to the folder `output`, with `texts` by name, whole or not at all.

    As narrow as it can be, unless `narrow` says how narrow.
    """
    narrow = narrowed(checkpoint, pruned) if narrow is None else narrow
    entries = exported_tensors(checkpoint, pruned, narrow)
    with written_atomically(output) as folder:
        folder.mkdir()
        for path, shard in checkpoint.shards.items():
            here = {name: entry for name, entry in entries.items() if entry.shard == path.name}
            if here:
                layout = {name: (entry.dtype, entry.shape) for name, entry in here.items()}
                tensors = (
                    (name, pruned_tensor(checkpoint, pruned, entry, narrow))
                    for name, entry in here.items()
                )
                metadata = shard.metadata or {"format": "pt"}
                write_tensors(folder / path.name, layout, tensors, metadata, checksum=False)
        for file in checkpoint.folder.iterdir():
            goes_along = may_be_of_checkpoint(file.name) and file.suffix != checkpoints.WEIGHTS
            if file.is_file() and goes_along and file.name not in REWRITTEN:
                shutil.copyfile(file, folder / file.name)
        for name, text in (texts or {}).items():
            (folder / name).write_text(text, encoding="utf-8")
        config = narrow.entries(exported_config(checkpoint, pruned))
        write_json(folder / checkpoints.CONFIG, config, checksum=False)
        if checkpoint.folder / checkpoints.SINGLE not in checkpoint.shards:
            sizes = [e.dtype.itemsize * math.prod(e.shape) for e in entries.values()]
            index = {
                "metadata": {"total_size": sum(sizes)},
                "weight_map": {name: entry.shard for name, entry in entries.items()},
            }
            write_json(folder / checkpoints.INDEX, index, checksum=False)


@torch.no_grad()
def apply_pruned(model: "PreTrainedModel", pruned: Pruned, checkpoint: Checkpoint) -> None:
    """Prune a model loaded from `checkpoint` in place: zero, change and add weights, drop blocks.

    The blocks left are renumbered, for the key-value cache, and the config is shortened with them.
    Biases are added to any linear, whatever the architecture, and routers to blocks. Raises
    `InputError`, and leaves the model as it was, where the variant does not fit.
    """
    layers, record = model.get_submodule(BLOCKS), pruned.record
    if record.sliced_width is not None:
        shapes = checkpoint.shapes | sliced_shapes(checkpoint, record.sliced_width)
        check_fit(pruned, shapes, len(layers))
        slice_model(model, pruned.weights)
        return
    tensors = as_stored(dict(model.named_parameters()), experts_place(checkpoint))
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    check_fit(pruned, shapes, len(layers))
    change_tensors(model, tensors, pruned, checkpoint)
    if record.routing:
        route_model(model, record.routing, pruned.weights)
    if not record.removed_blocks:
        return
    for block in reversed(record.removed_blocks):
        del layers[block]
    for number, layer in enumerate(layers):
        for module in layer.modules():
            if hasattr(module, "layer_idx"):
                module.layer_idx = number
    for key, value in shortened_config(model.config.to_dict(), record.kept_blocks).items():
        setattr(model.config, key, value)


def change_tensors(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    pruned: Pruned,
    checkpoint: Checkpoint,
    prefix: str = "",
) -> None:
    """Zero, change and add what a variant does of a module's `tensors`, in place.

    They have the checkpoint's names, which begin with `prefix`: that of a block, where the module
    is one. Not for sliced variants, whose tensors have other shapes: `models.sliced` has theirs.
    """
    record = pruned.record
    changed = changed_names(record.weights)
    for name in record.linears:
        if name in tensors and name not in changed:
            tensors[name].masked_fill_(~pruned.kept(name).to(tensors[name].device), 0)
    for name in sorted(changed):
        stored = name if name in tensors else f"{name.removesuffix(BIAS)}.weight"
        if stored not in tensors:
            continue
        like, dtype = tensors[stored], DTYPES[checkpoint.dtypes[stored]]
        shape = tuple(like.shape) if name in tensors else like.shape[:1]
        tensor = pruned_tensor(checkpoint, pruned, ExportedTensor(name, dtype, tuple(shape), ""))
        if name in tensors:
            like.copy_(tensor)
        else:  # a new bias
            owner = module.get_submodule(name.removesuffix(BIAS).removeprefix(prefix))
            bias = tensor.to(like.device, like.dtype)
            owner.bias = nn.Parameter(bias, requires_grad=like.requires_grad)


def shortened_config(config: Mapping[str, Any], kept_blocks: Sequence[int]) -> dict[str, Any]:
    """The entries of a config that change when only `kept_blocks` of its blocks stay.

    Those are the number of blocks, every list with one item a block (`layer_types` and its like;
    lists of token ids and class names are none, whatever their length), `max_window_layers`, the
    first block with a sliding window, and the blocks that have an MLP instead of experts.
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
    if "mlp_only_layers" in config:  # of Qwen: the blocks without experts, by their numbers
        dense, step = config["mlp_only_layers"], config.get("decoder_sparse_step", 1)
        changes["mlp_only_layers"] = [
            number
            for number, block in enumerate(kept_blocks)
            if block in dense or (block + 1) % step
        ]
        changes["decoder_sparse_step"] = 1
    return changes
