"""LayerIF's influence scores of a model's blocks, as read from their file."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json

FORMAT = 1
PARTS = ("attention", "mlp")


def read_influence(path: Path, blocks: int, model_digest: str) -> tuple[dict[str, float], ...]:
    """The scores of every block's `attention` and `mlp`, in the order of the model's blocks.

    Raises `InputError` where the scores are of another model, a block has none, or one is not a
    finite number: no block gets a sparsity without a score.
    """
    record = read_json(path)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(f"{path}: not influence scores of format {FORMAT}")
    if record.get("model_digest") != model_digest:
        raise InputError(
            f"{path}: influence scores of another model (digest {record.get('model_digest')}, this "
            f"model's is {model_digest})"
        )
    rows = record.get("blocks")
    if not isinstance(rows, list) or len(rows) != blocks:
        found = f"{len(rows)} blocks" if isinstance(rows, list) else "no list of blocks"
        raise InputError(f"{path}: has {found}, the model has {blocks}")
    return tuple(_row(path, number, row) for number, row in enumerate(rows))


def _row(path: Path, number: int, row: Any) -> dict[str, float]:
    scores = row if isinstance(row, Mapping) else {}
    for part in PARTS:
        score = scores.get(part)
        if isinstance(score, bool) or not isinstance(score, int | float):
            raise InputError(f"{path}: block {number} has no {part} score but {score!r}")
        if not math.isfinite(score):
            raise InputError(f"{path}: block {number}: the {part} score {score} is not finite")
    return {part: float(scores[part]) for part in PARTS}
