"""Architectures whose blocks are norm, attention, sum, norm, MLP, sum, and nothing else.

What changes the way through a block rebuilds it from these parts; tests build each one.
"""

from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import CONFIG, Checkpoint

PLAIN = ("llama", "qwen2", "qwen3")


def check_plain(checkpoint: Checkpoint, what: str) -> None:
    """Raise `InputError` for an architecture with other blocks; `what` needs these."""
    kind = checkpoint.config.get("model_type")
    if kind not in PLAIN:
        raise InputError(
            f"{checkpoint.folder / CONFIG}: {what} a model of type {kind!r}; must be one of "
            f"{', '.join(PLAIN)}"
        )
