"""Engines: what runs a model, where, and which keys of `generation` only some of them take.

A new one is a line here, a module in `generation/engines/` with its line in the table of `start`,
and an environment file.
"""

from dataclasses import dataclass


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


def may_be(engine: str, device: str) -> str:
    """The engine that one of the config can be: `auto` is vllm on a GPU where it is installed."""
    if engine != "auto":
        return engine
    return "vllm" if device == "cuda" else "transformers"
