"""Calibration sets as files: the token ids that statistics are collected on."""

from pathlib import Path

import torch
from torch import Tensor

from workflow_scripts.artefacts.json_files import check_model
from workflow_scripts.errors import InputError
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import read_tensor


def read_calibration_set(path: Path, model_digest: str) -> Tensor:
    """Token ids of shape (samples, length). Raises `InputError` where they are another model's."""
    file = open_tensors(path)
    check_model(path, "calibration set", file.metadata.get("model_digest"), model_digest)
    input_ids = read_tensor(file, "input_ids")
    if input_ids.dtype != torch.int32 or input_ids.ndim != 2 or not input_ids.numel():
        raise InputError(f"{path}: input_ids is not an int32 tensor of shape (samples, length)")
    return input_ids
