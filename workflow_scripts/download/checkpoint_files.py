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
_POINTER = b"version https://git-lfs"


def checkpoint_files(folder: Path) -> list[str]:
    """Sorted names of the files that make up the model in `folder`, each one checked.

    Only files directly in the folder count; they may be links. Of the weights, those count that
    transformers would open: model.safetensors, else the shards that model.safetensors.index.json
    names. Raises `InputError` for a missing,
    truncated or otherwise damaged file.
    """
    names = _allowed_names(folder)
    config = _read_config(folder, names)
    _note_remote_code(folder, config)
    if not any(all(name in names for name in group) for group in TOKENIZERS):
        wanted = ", ".join(" with ".join(group) for group in TOKENIZERS)
        raise InputError(f"{folder}: no tokenizer; one of these would be right: {wanted}")
    weights = _weights(folder, names)
    chosen = [n for n in names if not n.endswith(".safetensors") or n in weights]
    if WEIGHTS in weights and INDEX in chosen:
        chosen.remove(INDEX)
    for name in chosen:
        _refuse_pointer(folder / name)
        if name.endswith(".json"):
            read_json(folder / name)
    _check_weights(folder, weights, INDEX in chosen)
    return sorted(chosen)


def _allowed_names(folder: Path) -> list[str]:
    if not folder.is_dir():
        state = "not a folder" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: {state}; a model is a folder with config.json and weights")
    names = []
    for path in sorted(folder.iterdir()):
        if may_be_of_checkpoint(path.name):
            if not path.is_file():
                state = "a broken link" if path.is_symlink() else "not a regular file"
                raise InputError(f"{path}: {state}")
            names.append(path.name)
    return names


def _read_config(folder: Path, names: list[str]) -> dict[str, Any]:
    path = folder / "config.json"
    if path.name not in names:
        raise InputError(f"{path}: no such file; a model folder needs it")
    _refuse_pointer(path)
    config = read_json(path)
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
    return config


def _note_remote_code(folder: Path, config: dict[str, Any]) -> None:
    """Say on stderr that code which a repository offers is left alone.

    Such a model still loads where transformers itself knows its model_type, so it is no error.
    """
    if "auto_map" in config:
        print(
            f"note: {folder / 'config.json'}: auto_map names code of the repository; "
            f"it is never run, the model is opened as {config['model_type']!r}",
            file=sys.stderr,
        )


def _weights(folder: Path, names: list[str]) -> list[str]:
    if WEIGHTS in names:
        return [WEIGHTS]
    if INDEX not in names:
        others = sorted(
            path.name
            for path in folder.iterdir()
            if path.suffix in (".bin", ".pt", ".pth", ".safetensors", ".gguf")
        )
        found = f"found only {', '.join(others[:3])}" if others else "found no weights"
        raise InputError(
            f"{folder}: no safetensors weights: neither {WEIGHTS} nor {INDEX}; {found}"
        )
    path = folder / INDEX
    _refuse_pointer(path)
    index = read_json(path)
    placed = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(placed, dict) or not placed:
        raise InputError(f"{path}: no weight_map that says which tensor is in which file")
    for shard in placed.values():
        if shard not in names or not str(shard).endswith(".safetensors"):
            raise InputError(f"{path}: names {shard!r}, which is not a safetensors file beside it")
    return sorted(set(placed.values()))


def _check_weights(folder: Path, weights: list[str], indexed: bool) -> None:
    headers = {name: open_tensors(folder / name).entries for name in weights}
    if not indexed:
        return
    for tensor, shard in sorted(read_json(folder / INDEX)["weight_map"].items()):
        if tensor not in headers[shard]:
            raise InputError(
                f"{folder / INDEX}: places {tensor} in {shard}, which has no such tensor"
            )


def _refuse_pointer(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise InputError(f"{path}: a Git LFS pointer and not the file itself; run git lfs pull")
