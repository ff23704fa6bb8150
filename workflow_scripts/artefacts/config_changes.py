"""What new biases change in a model's config.json, so that plain libraries open the result.

Llama's class has biases for attention (q, k, v and o) and for the MLP (gate, up, down), in
transformers and in vLLM alike, and Qwen2 has the same blocks: a Qwen2 is rewritten as a Llama.
Other architectures have no place for them.
"""

from collections.abc import Collection, Iterator
from typing import Any

from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import Checkpoint, linears

FLAGS = {"attention": "attention_bias", "mlp": "mlp_bias"}
CLASSES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "seed_oss": "SeedOssForCausalLM",
}
WINDOWS = ("sliding_window", "use_sliding_window", "max_window_layers", "layer_types")


def config_changes(checkpoint: Checkpoint, names: Collection[str]) -> dict[str, Any]:
    """The keys of config.json that tensors of these names change; None where a key goes.

    Raises `InputError` where no plain checkpoint can hold them.
    """
    new = {name for name in names if name.endswith(".bias") and name not in checkpoint.files}
    parts = {part for part, name in linear_biases(checkpoint) if name in new}
    if not parts:
        return {}
    changes = {FLAGS[part]: True for part in sorted(parts)}
    architecture = checkpoint.config.get("model_type")
    if architecture == "llama":
        return changes
    if architecture == "qwen2":
        return rewritten(checkpoint, "llama") | {"attention_bias": True} | changes
    raise InputError(
        f"{checkpoint.folder}: a checkpoint of {architecture} has no place for the biases that the "
        "variant adds, those of llama and qwen2 have: set compensate: false, or generate with "
        "generation.engine: transformers"
    )


def linear_biases(checkpoint: Checkpoint) -> Iterator[tuple[str, str]]:
    """(part, name of the bias) of every linear of every block, whether it has one or not."""
    for linear in linears(checkpoint):
        yield linear.part, linear.bias


def rewritten(checkpoint: Checkpoint, kind: str) -> dict[str, Any]:
    """The keys of config.json that make a Llama or a Qwen2 a model of a class of CLASSES, which has
    the same blocks; None where a key goes (of WINDOWS) or the class has another default.

    Raises `InputError` for a Qwen2 whose sliding window matters.
    """
    from transformers import AutoConfig  # takes longer to import than most masks to build

    from workflow_scripts.models.architectures import load_config
    from workflow_scripts.models.rope import context_length

    config = load_config(checkpoint)
    if "sliding_attention" in (getattr(config, "layer_types", None) or ()) and (
        config.sliding_window < context_length(checkpoint)
    ):
        raise InputError(
            f"{checkpoint.folder}: a Llama checkpoint, which the biases that the variant adds "
            f"need, has no sliding window, and this Qwen2 has one of {config.sliding_window} tokens"
        )
    defaults, complete = AutoConfig.for_model(kind).to_dict(), config.to_dict()
    changed = {
        key: complete[key]
        for key in defaults.keys() & complete.keys()
        if key[0] != "_"
        and complete[key] != defaults[key]
        and (key not in checkpoint.config or complete[key] != checkpoint.config[key])
    }
    return changed | dict.fromkeys(WINDOWS) | {"architectures": [CLASSES[kind]], "model_type": kind}
