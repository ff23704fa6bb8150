"""Tiny random models saved as fetched Hugging Face folders, and what the stages make of them.

Sizes are chosen so that few matrices have a multiple of eight weights, key and query heads differ
in number, and (Qwen3) the heads together are wider than the hidden state.
"""

import hashlib
import json
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from workflow_scripts.allocation import allocate_sparsity
from workflow_scripts.calibration import collect_statistics
from workflow_scripts.files.atomic import write_json
from workflow_scripts.files.digests import file_digest, files_digest
from workflow_scripts.models.checkpoints import model_digest
from workflow_scripts.models.tensors import save_tensors

# architecture -> what its config has beside the common sizes
ARCHITECTURES = {
    "llama": {},
    "qwen2": {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    "qwen3": {"head_dim": 8},
}
VOCABULARY = 64
LINEARS_PER_BLOCK = 7
CHAT_TEMPLATE = (
    "{% for m in messages %}<user>{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<model>{% endif %}"
)
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789 +-=;."


def save_tiny_model(
    folder: Path,
    architecture: str = "llama",
    *,
    tied: bool = False,
    sharded: bool = False,
    blocks: int = 3,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    hidden: int = 18,
    intermediate: int = 25,
    heads: int = 3,
    kv_heads: int = 1,
    head_dim: int | None = None,
) -> Path:
    """Save a random model with a tokenizer and a manifest; returns the folder."""
    config = AutoConfig.for_model(
        architecture,
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=blocks,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=32,
        tie_word_embeddings=tied,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=1,
        **ARCHITECTURES.get(architecture, {}) | ({"head_dim": head_dim} if head_dim else {}),
    )
    model = AutoModelForCausalLM.from_config(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        # biases and the scales of norms as well, which a fresh model has at zero and one
        for name, parameter in sorted(model.named_parameters()):
            values = torch.randn(parameter.shape, generator=generator) * 0.4
            parameter.copy_(values + 1 if "norm" in name else values)
    model.to(dtype).save_pretrained(folder, max_shard_size="6KB" if sharded else "1GB")
    tiny_tokenizer().save_pretrained(folder)
    write_manifest(folder)
    return folder


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """One token a character; tokens 0 to 3 are special."""
    special = ["<unknown>", "<end>", "<user>", "<model>"]
    vocabulary = {token: number for number, token in enumerate([*special, *CHARACTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unknown>",
        eos_token="<end>",
        additional_special_tokens=special[2:],
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def write_manifest(folder: Path) -> None:
    """The manifest that fetching writes, for the files as they are now."""
    hidden = ("manifest.json", ".")
    names = sorted(p.name for p in folder.iterdir() if not p.name.startswith(hidden))
    files = {name: file_digest(folder / name) for name in names}
    source = {"kind": "local", "path": folder.name}
    manifest = {"source": source, "revision": None, "files": files, "digest": files_digest(files)}
    write_json(folder / "manifest.json", manifest)


def load_model(folder: Path, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The whole model, as transformers loads it."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()


def token_ids(samples: int, length: int, seed: int = 0) -> torch.Tensor:
    """Random token ids, int32 (samples, length)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(VOCABULARY, (samples, length), generator=generator, dtype=torch.int32)


def save_calibration_set(path: Path, folder: Path, input_ids: torch.Tensor) -> Path:
    save_tensors(path, {"input_ids": input_ids}, {"model_digest": model_digest(folder)})
    return path


def save_statistics(path: Path, folder: Path, input_ids: torch.Tensor) -> Path:
    """Run the stage that collects statistics."""
    calibration = save_calibration_set(path.with_name("calibration.safetensors"), folder, input_ids)
    stage = ["--model", folder, "--calibration", calibration, "--output", path]
    collect_statistics.main([str(part) for part in stage])
    return path


def save_allocation(
    path: Path,
    folder: Path,
    sparsity: float,
    allocation: dict | None = None,
    scope: str = "all",
    **files: Path,
) -> Path:
    """Run the stage that allocates sparsity, uniformly unless `allocation` says otherwise."""
    options = {"sparsity": sparsity, "scope": scope}
    options |= {"allocation": allocation} if allocation else {}
    stage = ["--model", folder, "--options", json.dumps(options)]
    for name, file in files.items():
        stage += [f"--{name}", file]
    allocate_sparsity.main([str(part) for part in [*stage, "--output", path]])
    return path


def folder_bytes(folder: Path) -> dict[str, str]:
    """The sha256 of every file in a folder by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
