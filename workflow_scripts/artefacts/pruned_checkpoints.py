"""A checkpoint as a mask leaves it, as a plain Hugging Face folder.

Weights keep their dtype and their shards; pruned ones are zero, removed blocks are gone and those
left are renumbered. One tensor at a time is in memory.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from workflow_scripts.artefacts.masks import Mask, check_fit, shortened_config, unpack
from workflow_scripts.files.atomic import write_json, written_atomically
from workflow_scripts.models import checkpoints
from workflow_scripts.models.blocks import load_config
from workflow_scripts.models.checkpoints import Checkpoint
from workflow_scripts.models.tensor_files import TensorFile
from workflow_scripts.models.tensors import DTYPES, write_tensors

# What goes along: tokenizer, chat template, generation config. Weights in other formats do not, for
# they are the dense ones.
COPIED = (".json", ".jinja", ".txt", ".model")
REWRITTEN = (checkpoints.CONFIG, checkpoints.INDEX, checkpoints.MANIFEST)


def export(checkpoint: Checkpoint, mask: Mask, output: Path) -> None:
    """Write `checkpoint` as `mask` leaves it to the folder `output`, whole or not at all.

    Raises `InputError` where the mask does not fit the checkpoint.
    """
    check_fit(mask, checkpoint.shapes, checkpoint.blocks)
    names = exported_names(checkpoint, mask)
    with written_atomically(output) as folder:
        folder.mkdir()
        for shard in checkpoint.shards.values():
            write_shard(checkpoint, mask, shard, names, folder / shard.path.name)
        for file in checkpoint.folder.iterdir():
            if file.is_file() and file.suffix in COPIED and file.name not in REWRITTEN:
                shutil.copyfile(file, folder / file.name)
        write_json(folder / checkpoints.CONFIG, exported_config(checkpoint, mask), checksum=False)
        if checkpoint.folder / checkpoints.SINGLE not in checkpoint.shards:
            write_json(
                folder / checkpoints.INDEX, exported_index(checkpoint, names), checksum=False
            )


def exported_names(checkpoint: Checkpoint, mask: Mask) -> dict[str, str]:
    """The names of the tensors that stay -> their names once the blocks are renumbered."""
    numbers = {block: number for number, block in enumerate(mask.kept_blocks)}
    names = {}
    for name in checkpoint.files:
        place = checkpoints.split_block(name)
        if place is None:
            names[name] = name
        elif place[0] in numbers:
            names[name] = checkpoints.block_prefix(numbers[place[0]]) + place[1]
    return names


def write_shard(
    checkpoint: Checkpoint, mask: Mask, shard: TensorFile, names: Mapping[str, str], path: Path
) -> None:
    """Write what stays of one shard; nothing where nothing does."""
    staying = [name for name in names if checkpoint.files[name] == shard.path]
    if not staying:
        return
    layout = {
        names[name]: (DTYPES[checkpoint.dtypes[name]], checkpoint.shapes[name]) for name in staying
    }

    def tensors() -> Iterator[tuple[str, Tensor]]:
        for name in staying:
            tensor = checkpoints.load_tensor(checkpoint, name)
            if name in mask.shapes:
                tensor.masked_fill_(~unpack(mask.keep[name], mask.shapes[name]), 0)
            yield names[name], tensor

    write_tensors(path, layout, tensors(), shard.metadata or {"format": "pt"}, checksum=False)


def exported_config(checkpoint: Checkpoint, mask: Mask) -> dict:
    """config.json for the blocks that stay.

    Lists with one item a block come from the config as transformers completes it: one that
    config.json leaves to a default would be completed anew, and wrongly, for fewer blocks.
    """
    if not mask.removed_blocks:
        return dict(checkpoint.config)
    complete = load_config(checkpoint).to_dict()
    return {**checkpoint.config, **shortened_config(complete, mask.kept_blocks)}


def exported_index(checkpoint: Checkpoint, names: Mapping[str, str]) -> dict:
    """The index of an exported checkpoint of several shards."""
    entries = [checkpoint.shards[checkpoint.files[name]].entries[name] for name in names]
    return {
        "metadata": {"total_size": sum(entry.end - entry.begin for entry in entries)},
        "weight_map": {names[name]: checkpoint.files[name].name for name in names},
    }
