"""Engines: what runs a model, where, and which keys of `generation` only some of them take.

A new one is a line here, a module in `engines/` with its line in the table of `start`,
and an environment file.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Engine:
    """An engine as the config sees it.

    `keys` are those of `generation` that not every engine takes; of these `gpu_keys` need a GPU.
    `temperatures` are the least and the largest that it takes beside 0; None where it takes all.
    """

    environment: str  # of envs/, on a GPU
    keys: tuple[str, ...] = ()
    gpu_keys: tuple[str, ...] = ()
    temperatures: tuple[float, float] | None = None


ENGINES = {
    "transformers": Engine("torch"),
    # it raises temperatures that are lower and refuses higher ones
    "vllm": Engine(
        "vllm",
        ("tensor_parallel", "batch_invariant", "engine_options"),
        ("tensor_parallel", "batch_invariant"),
        (0.01, 2),
    ),
}


AUTO_BATCH = 32  # sequences decoded together; what vLLM takes on a GPU it finds out there

BatchSize = int | Literal["auto"]


def batch_size(asked: BatchSize, engine: str, device: str) -> BatchSize:
    """The most sequences that an engine decodes together; `auto` is left to vLLM on a GPU alone."""
    is_its_own = engine == "vllm" and device == "cuda"
    return AUTO_BATCH if asked == "auto" and not is_its_own else asked


def may_be(engine: str, device: str) -> str:
    """The engine that one of the config can be: `auto` is vllm on a GPU where it is installed."""
    if engine != "auto":
        return engine
    return "vllm" if device == "cuda" else "transformers"
