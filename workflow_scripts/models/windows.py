"""How far back each block of a model looks. No torch here: from config.json alone."""

from collections.abc import Mapping
from typing import Any

SLIDING = "sliding_attention"
# What files of older versions of transformers leave to each architecture: model type -> of so many
# blocks in a row all but the last, or all but the first, look at a window
ALL_BUT_LAST = {
    "cohere2": 4, "cohere2_moe": 4, "exaone4": 4, "gemma2": 2, "gemma3_text": 6,
    "gemma4_unified_text": 6, "olmo3": 4, "vaultgemma": 2,
}  # fmt: skip
ALL_BUT_FIRST = {"cwm": 4, "granite_swa": 4}
FROM_A_BLOCK_ON = ("qwen2", "qwen3")  # where they are switched on, as in the next
EVERY_SECOND = ("qwen2_moe",)
NEVER = ("mellum", "smollm3")
LAST_NEVER = ("gemma4_unified_text",)
SWITCHED = (*FROM_A_BLOCK_ON, *EVERY_SECOND)


def windows(config: Mapping[str, Any], blocks: int) -> tuple[int | None, ...]:
    """For each block how many tokens one attends to at most, itself included; None for all."""
    window = config.get("sliding_window")
    if not isinstance(window, int):
        return (None,) * blocks
    if kinds := config.get("layer_types"):
        return tuple(window if kind == SLIDING else None for kind in kinds)
    last = blocks - 1 if config.get("model_type") in LAST_NEVER else None
    slides = (block != last and _slides(config, block) for block in range(blocks))
    return tuple(window if slid else None for slid in slides)


def _slides(config: Mapping[str, Any], block: int) -> bool:
    """Whether a block has a window, where config.json does not say it block by block."""
    kind = str(config.get("model_type"))
    if kind in NEVER or not config.get("use_sliding_window", kind not in SWITCHED):
        return False
    if kind in FROM_A_BLOCK_ON:
        return block >= config.get("max_window_layers", block + 1)
    if kind in EVERY_SECOND:
        return (block + 1) % 2 == 1 and block < config.get("max_window_layers", block + 1)
    if kind in ALL_BUT_FIRST:
        return block % ALL_BUT_FIRST[kind] != 0
    row = config.get("sliding_window_pattern") or ALL_BUT_LAST.get(kind)
    return row is None or (block + 1) % row != 0
