"""What a completion depends on: the weights and, as far as its rounding does, what computed it."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.engines.interface import EngineSettings
from workflow_scripts.files.atomic import read_json
from workflow_scripts.files.digests import files_digest
from workflow_scripts.jobs.environment import MKL_ROUNDING
from workflow_scripts.models.file_names import CONFIG
from workflow_scripts.models.manifests import MANIFEST

LIBRARIES = ("numpy", "torch", "transformers", "vllm")


def identity(model: Path, pruned: Pruned, settings: EngineSettings) -> dict[str, Any]:
    """What is decoded depends on beside its request: the weights left, the engine, its dtype.

    `model` is the folder of the dense checkpoint. vLLM's batch-invariant mode computes in another
    way.
    """
    files = read_json(model / MANIFEST)["files"]
    weights = {k: v for k, v in files.items() if k.endswith(".safetensors") or k == CONFIG}
    found = {
        "weights": files_digest(weights),
        "mask": pruned.digest,
        "engine": settings.engine,
        "device": settings.device,
        "dtype": settings.dtype,
    }
    if settings.engine == "vllm":
        found["batch_invariant"] = settings.batch_invariant
    return found


def fingerprint_of(settings: EngineSettings) -> dict[str, str]:
    """What computes in this process: engine, versions, device, dtype, threads, MKL's rounding."""
    found = {
        "engine": settings.engine,
        "device": device_name(settings.device),
        "dtype": settings.dtype,
        "threads": str(settings.threads),
        "tensor_parallel": str(settings.tensor_parallel),
        "batch_invariant": str(settings.batch_invariant).lower(),
    }
    if rounding := os.environ.get(MKL_ROUNDING):
        found["mkl"] = rounding
    names = [name for name in LIBRARIES if name != "vllm" or settings.engine == "vllm"]
    return found | {name: _version(name) for name in names}


def device_name(device: str) -> str:
    """The name of the first GPU, or of the processor."""
    if device == "cuda":
        return torch.cuda.get_device_name(0)
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str:
    """The version of a library; vLLM has a package of its own for machines without a GPU."""
    try:
        return version(name)
    except PackageNotFoundError:
        return version(f"{name}-cpu")
