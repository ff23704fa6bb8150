"""The fingerprint of a completion: what computed it, as far as its rounding may depend on it."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from workflow_scripts.engines.interface import EngineSettings
from workflow_scripts.jobs.environment import MKL_ROUNDING

LIBRARIES = ("numpy", "torch", "transformers", "vllm")


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
