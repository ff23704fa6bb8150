"""From which architectures whole blocks can be removed."""

from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import CONFIG, Checkpoint
from workflow_scripts.models.supported import BLOCKS_STAY, SUPPORTED

# Model types whose logits are the same whether blocks are dropped from a loaded model or a
# checkpoint without them is opened; tests/models/test_supported.py builds every one.
REMOVABLE = tuple(sorted(SUPPORTED.keys() - BLOCKS_STAY.keys()))


def check_removable(checkpoint: Checkpoint) -> None:
    """Raise `InputError` unless blocks left behind compute what they did in the whole model."""
    kind = checkpoint.config.get("model_type")
    if kind not in REMOVABLE:
        reason = BLOCKS_STAY.get(kind, "its blocks may depend on their number")
        raise InputError(
            f"{checkpoint.folder / CONFIG}: no block can be removed from a model of type {kind!r}: "
            f"{reason}; a method that masks weights can prune it, and blocks can be removed from "
            f"{', '.join(REMOVABLE)}"
        )
