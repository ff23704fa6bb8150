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


BatchSize = int | Literal["auto"]
# sequences decoded together where that is left open: short ones cost little memory, and a step of
# many rows little more time than one of few
AUTO_BATCH, MOST_AUTO_BATCH, AUTO_TOKENS = 32, 128, 16_384


def batch_size(asked: BatchSize, engine: str, device: str, longest: int, samples: int) -> BatchSize:
    """The most sequences that an engine decodes together; `auto` is left to vLLM on a GPU alone.

    Elsewhere it is as many as come to `AUTO_TOKENS` tokens if each were the longest, within bounds,
    and no more than there are samples.
    """
    if asked != "auto" or (engine == "vllm" and device == "cuda"):
        return asked
    return min(max(AUTO_TOKENS // longest, AUTO_BATCH), MOST_AUTO_BATCH, max(samples, 1))


def may_be(engine: str, device: str) -> str:
    """The engine that one of the config can be: `auto` is vllm on a GPU where it is installed."""
    if engine != "auto":
        return engine
    return "vllm" if device == "cuda" else "transformers"
