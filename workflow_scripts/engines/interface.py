"""The interface between a sweep and whatever decodes its requests.

An engine has a method `generate(queue)`: it takes requests from the queue, yields each one with its
completion as soon as it is finished, and ends when queue and batch are empty. The caller may append
to the queue between two completions, so that an answer starts as soon as its trace has ended and no
phase waits for another.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workflow_scripts.config.engines import BatchSize
from workflow_scripts.engines.sampling import Sampling


@dataclass(frozen=True)
class Request:
    """Continue `prompt` (token ids) by at most `max_tokens`, until one of the ids in `stop`."""

    prompt: tuple[int, ...]
    max_tokens: int
    stop: tuple[int, ...]
    sampling: Sampling
    seed: int


@dataclass(frozen=True)
class Completion:
    """What followed a prompt, without the stop token.

    `stopped_by` is the id of the stop token, None where `max_tokens` ended it. Of a model whose
    tokens skip sublayers, `routes` says which of them ran: bool (tokens, sublayers), the two of a
    block side by side; the last of the tokens is left out where it was never put to the model.
    """

    tokens: tuple[int, ...]
    stopped_by: int | None
    routes: NDArray[np.bool_] | None = field(default=None, compare=False)

    def cut(self, max_tokens: int) -> "Completion":
        """What so many tokens at most would have left of it, one or more."""
        put_in = max_tokens - 1
        routes = self.routes[:put_in] if self.routes is not None and put_in else None
        return Completion(self.tokens[:max_tokens], None, routes)


@dataclass(frozen=True)
class EngineSettings:
    """Which engine, where it runs (`cpu`, `cuda`), its dtype, rows per batch, numeric threads.

    A `batch_size` of `auto` is the engine's own choice. `tensor_parallel` is the number of GPUs
    that share a model; `batch_invariant` and `engine_options` are for vLLM alone.
    """

    engine: str
    device: str
    dtype: str
    batch_size: BatchSize
    threads: int
    tensor_parallel: int = 1
    batch_invariant: bool = False
    engine_options: Mapping[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """What decodes. What holds about equal requests having equal completions, its module says."""

    def generate(self, queue: deque[Request]) -> Iterator[tuple[Request, Completion]]: ...
