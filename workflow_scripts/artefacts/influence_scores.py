"""LayerIF's influence scores of a model's blocks, as read from their file."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict

from workflow_scripts.artefacts.json_files import AS_LIST, STRICT, read_model_file
from workflow_scripts.errors import InputError

FORMAT = 1
PARTS = ("attention", "mlp")
_OPEN = STRICT | ConfigDict(extra="ignore")


class BlockScores(BaseModel):
    """The influence scores of one block; every one is finite."""

    model_config = _OPEN
    attention: float
    mlp: float


class InfluenceScores(BaseModel):
    """The file, as far as an allocation needs it: the scores in the order of the blocks."""

    model_config = _OPEN
    format: Literal[1]
    model_digest: str
    blocks: Annotated[tuple[BlockScores, ...], AS_LIST]


def read_influence(path: Path, blocks: int, model_digest: str) -> tuple[dict[str, float], ...]:
    """The scores of every block's `attention` and `mlp`, in the order of the model's blocks.

    Raises `InputError` where the scores are of another model, a block has none, or one is not a
    finite number: no block gets a sparsity without a score.
    """
    scores = read_model_file(path, InfluenceScores, "influence scores", model_digest)
    if len(scores.blocks) != blocks:
        raise InputError(f"{path}: has {len(scores.blocks)} blocks, the model has {blocks}")
    return tuple(block.model_dump() for block in scores.blocks)
