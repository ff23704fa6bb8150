"""The file of activation statistics.

Per linear, over all tokens of a calibration set: the sum of squares and the sum of every input
feature, and the number of tokens. Per block: Block Influence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from workflow_scripts.artefacts.json_files import check_model
from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import Linear
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import StoredTensors, save_tensors


@dataclass(frozen=True)
class Statistics:
    """Statistics of a model on a calibration set; mappings are keyed by the linear's weight name.

    `sum_squares` and `sums` have shape (input features,), `block_influence` (blocks,), all fp32.
    """

    sum_squares: Mapping[str, Tensor]
    sums: Mapping[str, Tensor]
    tokens: Mapping[str, int]
    block_influence: Tensor


def write_statistics(
    path: Path, statistics: Statistics, model_digest: str, calibration_digest: str
) -> None:
    """Write statistics as `NAME.sum_squares`, `NAME.sum`, `NAME.tokens` and `block_influence`."""
    tensors = {"block_influence": statistics.block_influence}
    for name, sum_squares in statistics.sum_squares.items():
        tensors[f"{name}.sum_squares"] = sum_squares
        tensors[f"{name}.sum"] = statistics.sums[name]
        tensors[f"{name}.tokens"] = torch.tensor([statistics.tokens[name]])
    metadata = {"model_digest": model_digest, "calibration_digest": calibration_digest}
    save_tensors(path, tensors, metadata)


def read_statistics(path: Path, linears: Sequence[Linear], model_digest: str) -> Statistics:
    """Read the statistics of a model's linears.

    Raises `InputError` where they are of another model, lack a linear, have a wrong shape, or hold
    NaN or infinite values.
    """
    file = open_tensors(path)
    check_model(path, "statistics", file.metadata.get("model_digest"), model_digest)
    stored = StoredTensors(file)
    sum_squares, sums, tokens = {}, {}, {}
    for linear in linears:
        name, features = linear.name, linear.shape[1]
        sum_squares[name] = _read(stored, f"{name}.sum_squares", features)
        sums[name] = _read(stored, f"{name}.sum", features)
        tokens[name] = int(_read(stored, f"{name}.tokens", 1))
    blocks = 1 + max(linear.block for linear in linears)
    return Statistics(sum_squares, sums, tokens, _read(stored, "block_influence", blocks))


def _read(stored: StoredTensors, name: str, length: int) -> Tensor:
    path = stored.file.path
    if name not in stored.file.entries:
        raise InputError(f"{path}: has no tensor {name}")
    tensor = stored[name]
    if tensor.shape != (length,):
        raise InputError(f"{path}: {name} has shape {tuple(tensor.shape)}, not ({length},)")
    if not tensor.isfinite().all():
        raise InputError(f"{path}: {name} holds NaN or infinite values")
    return tensor
