"""The engines by their names in the config, and how each is started."""

from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.errors import InputError
from workflow_scripts.generation.engine import Engine
from workflow_scripts.masks import Mask, apply_mask


@dataclass(frozen=True)
class EngineSettings:
    """Which engine, where it runs (`cpu`, `cuda`), its dtype, rows per batch, numeric threads."""

    engine: str
    device: str
    dtype: str
    batch_size: int
    threads: int


def start_transformers(
    model: Path, mask: Mask, settings: EngineSettings, vocabulary: int, longest: int
) -> Engine:
    """Load the dense checkpoint, prune it in memory and put it behind the transformers engine."""
    import torch
    from transformers import AutoModelForCausalLM

    from workflow_scripts.generation.transformers_engine import TransformersEngine

    if settings.device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "generation.device: cuda is asked for, but torch finds no GPU on this machine; "
            "set it to cpu or run where there is one"
        )
    torch.set_num_threads(settings.threads)
    loaded = AutoModelForCausalLM.from_pretrained(
        model, dtype=getattr(torch, settings.dtype), local_files_only=True
    )
    apply_mask(loaded, mask)
    loaded.to(settings.device)
    return TransformersEngine(loaded, vocabulary, settings.batch_size, longest)


ENGINES = {"transformers": start_transformers}
