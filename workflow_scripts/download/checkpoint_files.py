"""Which files of a folder are the model, and whether they are whole.

Only safetensors weights, JSON, chat templates and tokenizer files belong to a model. Weights in
other formats and Python files are never touched: opening them could run code.
"""

import sys
from pathlib import Path
from typing import Any

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json
from workflow_scripts.models.file_names import may_be_of_checkpoint
from workflow_scripts.models.tensor_files import open_tensors

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZERS = (
    ("tokenizer.json",),
    ("tokenizer.model",),
    ("spiece.model",),
    ("sentencepiece.bpe.model",),
    ("vocab.json", "merges.txt"),
    ("vocab.txt",),
)
WRITES_TEXT = ("ForCausalLM", "LMHeadModel")  # and not ForSequenceClassification
_POINTER = b"version https://git-lfs"


def checkpoint_files(folder: Path) -> list[str]:
    """Sorted names of the files that make up the model in `folder`, each one checked.

    Only files directly in the folder count; they may be links. Of the weights, those count that
    transformers would open: model.safetensors, else the shards that model.safetensors.index.json
    names. Raises `InputError` for a missing, truncated or otherwise damaged file.
    """
    names = _allowed_names(folder)
    if WEIGHTS in names:
        names = [n for n in names if n == WEIGHTS or not n.endswith((".safetensors", INDEX))]
    for name in names:
        with (folder / name).open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise InputError(
                    f"{folder / name}: a Git LFS pointer and not the file itself; run git lfs pull"
                )
    content = {name: read_json(folder / name) for name in names if name.endswith(".json")}
    config = content.get(CONFIG)
    check_config(folder / CONFIG, config)
    if "auto_map" in config:
        print(
            f"note: {folder / CONFIG}: auto_map names code of the repository; it is never run, the "
            f"model is opened as {config['model_type']!r}",
            file=sys.stderr,
        )
    if not any(all(name in names for name in group) for group in TOKENIZERS):
        wanted = ", ".join(" with ".join(group) for group in TOKENIZERS)
        raise InputError(f"{folder}: no tokenizer; one of these would be right: {wanted}")
    if WEIGHTS in names:
        open_tensors(folder / WEIGHTS)
        return names
    if INDEX not in names:
        formats = (".bin", ".pt", ".pth", ".safetensors", ".gguf")
        others = sorted(path.name for path in folder.iterdir() if path.suffix in formats)
        found = f"found only {', '.join(others[:3])}" if others else "found no weights"
        raise InputError(
            f"{folder}: no safetensors weights: neither {WEIGHTS} nor {INDEX}; {found}"
        )
    shards = _shards(folder / INDEX, content[INDEX], names)
    return [name for name in names if name in shards or not name.endswith(".safetensors")]


def _allowed_names(folder: Path) -> list[str]:
    if not folder.is_dir():
        state = "not a folder" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: {state}; a model is a folder with config.json and weights")
    found = [path for path in sorted(folder.iterdir()) if may_be_of_checkpoint(path.name)]
    for path in found:
        if not path.is_file():
            state = "a broken link" if path.is_symlink() else "not a regular file"
            raise InputError(f"{path}: {state}")
    return [path.name for path in found]


def check_config(path: Path, config: Any) -> None:
    """Refuse a config that says too little; code that a repository offers is left alone.

    A model with such code still loads where transformers itself knows its model_type.
    """
    if config is None:
        raise InputError(f"{path}: no such file; a model folder needs it")
    if not isinstance(config, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(config).__name__}")
    for key, value in config.items():
        if key.endswith("_implementation") and "/" in str(value):
            raise InputError(
                f"{path}: {key!r} is {value!r}, code on the hub, which is never run; take it out"
            )
    for key, kind in (("model_type", str), ("architectures", list)):
        if not config.get(key) or not isinstance(config[key], kind):
            wanted = "a text" if kind is str else "a list of class names"
            raise InputError(f"{path}: {key!r} is {config.get(key)!r}; it must be {wanted}")
    names = config["architectures"]
    if not any(isinstance(name, str) and name.endswith(WRITES_TEXT) for name in names):
        raise InputError(
            f"{path}: 'architectures' is {names!r}: not a model that writes text, whose class ends "
            f"in {' or '.join(WRITES_TEXT)}"
        )


def _shards(path: Path, index: Any, names: list[str]) -> set[str]:
    """The files that an index of tensors names, each with the tensors that it should have."""
    placed = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(placed, dict) or not placed:
        raise InputError(f"{path}: no weight_map that says which tensor is in which file")
    for shard in placed.values():
        if shard not in names or not str(shard).endswith(".safetensors"):
            raise InputError(f"{path}: names {shard!r}, which is not a safetensors file beside it")
    shards = {name: open_tensors(path.with_name(name)).entries for name in {*placed.values()}}
    for tensor, shard in sorted(placed.items()):
        if tensor not in shards[shard]:
            raise InputError(f"{path}: places {tensor} in {shard}, which has no such tensor")
    for shard, entries in sorted(shards.items()):
        for tensor in entries:
            if placed.get(tensor) != shard:
                where = f"in {placed[tensor]}" if tensor in placed else "nowhere"
                raise InputError(f"{path}: places {tensor} {where}, and {shard} has it")
    return set(shards)
