"""How far a model's rotary positions reach, and which frequencies a sequence gets."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import CONFIG, Checkpoint


def context_length(checkpoint: Checkpoint) -> int:
    """The most tokens of a sequence that the model is made for.

    That is max_position_embeddings, which the kinds `longrope` and `llama3` of rope_parameters (or
    rope_scaling) leave as it is. `yarn` reaches factor x original_max_position_embeddings, whether
    or not max_position_embeddings was raised with it; `linear` and `dynamic` reach factor x
    max_position_embeddings, which by their convention is not raised. Raises `InputError` where
    config.json gives something else than numbers.
    """
    config, rope = checkpoint.config, _scaling(checkpoint)
    longest = _number(checkpoint, config, "max_position_embeddings", None)
    kind = rope.get("rope_type", rope.get("type"))
    if kind not in ("yarn", "linear", "dynamic"):
        return int(longest)
    factor = _number(checkpoint, rope, "factor", 1.0)
    return max(int(longest), int(factor * (_original(checkpoint) if kind == "yarn" else longest)))


def switches_after(checkpoint: Checkpoint) -> int | None:
    """With `longrope`, the length beyond which a sequence has other frequencies; else None."""
    rope = _scaling(checkpoint)
    is_longrope = rope.get("rope_type", rope.get("type")) in ("longrope", "su")
    return int(_original(checkpoint)) if is_longrope else None


def _scaling(checkpoint: Checkpoint) -> Mapping[str, Any]:
    found = checkpoint.config.get("rope_parameters") or checkpoint.config.get("rope_scaling")
    return found if isinstance(found, dict) else {}


def _original(checkpoint: Checkpoint) -> float:
    """Where it stands in both places, transformers takes the one outside."""
    key, config = "original_max_position_embeddings", checkpoint.config
    longest = _number(checkpoint, config, "max_position_embeddings", None)
    inside = _number(checkpoint, _scaling(checkpoint), key, longest)
    return _number(checkpoint, config, key, inside)


def _number(
    checkpoint: Checkpoint, mapping: Mapping[str, Any], key: str, default: float | None
) -> float:
    value = mapping.get(key)
    value = default if value is None else value
    if type(value) not in (int, float) or not 1 <= value < float("inf"):
        raise InputError(
            f"{checkpoint.folder / CONFIG}: {key} is {str(value)[:40]!r}; must be a number of at "
            "least 1"
        )
    return value


def rotate_rows_apart(model: nn.Module) -> bool:
    """Let each row of a batch have the frequencies that it would have alone; whether it is needed.

    Where they depend on the length, transformers takes the length of the longest row (`longrope`),
    or of the longest there has been (`dynamic`).
    """
    is_needed = False
    for module in model.modules():
        kind = getattr(module, "rope_type", "")
        kinds = kind.values() if isinstance(kind, dict) else [kind]
        if any("dynamic" in one or one == "longrope" for one in kinds):
            module.forward = partial(_row_by_row, module.forward)
            is_needed = True
    return is_needed


def _row_by_row(
    forward: Callable[..., tuple[Tensor, Tensor]], x: Tensor, position_ids: Tensor, **options: Any
) -> tuple[Tensor, ...]:
    """Cosines and sines (rows, tokens, head size) of positions (rows, tokens)."""
    found = []
    for row in position_ids.split(1):
        forward(x, torch.zeros_like(row[:, :1]), **options)  # makes it forget longer ones
        found.append(forward(x, row, **options))
    return tuple(torch.cat(parts) for parts in zip(*found, strict=True))
