"""From which architectures whole blocks can be removed."""

from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import CONFIG, Checkpoint

# Model types of transformers with our blocks, whose logits are the same whether blocks are dropped
# from a loaded model or a checkpoint without them is opened; tests/models/test_block_removal.py
# builds every one. REFUSED are the others with our blocks: what a block computes from its number,
# no config can say.
REMOVABLE = (
    "bitnet", "cohere", "cohere2", "cwm", "ernie4_5", "exaone4", "gemma", "gemma2", "gemma3_text",
    "granite", "granite_swa", "helium", "hunyuan_v1_dense", "hyperclovax", "llama", "ministral",
    "ministral3", "mistral", "olmo", "olmo2", "olmo3", "qwen2", "qwen3", "seed_oss", "smollm3",
    "stablelm", "vaultgemma",
)  # fmt: skip
REFUSED = {
    "diffllama": "the weight of its second attention follows from a block's number",
    "gemma4_unified_text": "its config names blocks by their numbers",
}


def check_removable(checkpoint: Checkpoint) -> None:
    """Raise `InputError` unless blocks left behind compute what they did in the whole model."""
    kind = checkpoint.config.get("model_type")
    if kind not in REMOVABLE:
        reason = REFUSED.get(kind, "its blocks may depend on their number")
        raise InputError(
            f"{checkpoint.folder / CONFIG}: no block can be removed from a model of type {kind!r}: "
            f"{reason}; a method that masks weights can prune it, and blocks can be removed from "
            f"{', '.join(REMOVABLE)}"
        )
