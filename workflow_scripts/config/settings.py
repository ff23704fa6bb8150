"""The config as frozen dataclasses; `load.load_settings` makes them of a config."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Run:
    """What to run: every model with every variant and benchmark, in the order of the config."""

    models: tuple[str, ...]
    variants: tuple[str, ...]
    benchmarks: tuple[str, ...]


@dataclass(frozen=True)
class Model:
    """A dense checkpoint: where it comes from, and the name of its thinking format.

    `parameters` is how many weights it has, where the config says it.
    """

    name: str
    source: Mapping[str, Any]
    thinking: str
    parameters: int | None = None


@dataclass(frozen=True)
class Benchmark:
    """A set of problems; `problems` is their number and `sha256` that of the normalised file.

    Both are None where the config does not say them.
    """

    name: str
    source: Mapping[str, Any]
    problems: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class CalibrationSet:
    """`samples` token sequences of `length` tokens each, drawn with `seed`.

    `sampling` is `packed` (texts end to end, cut) or `windows` (a random piece of a long text).
    """

    name: str
    source: Mapping[str, Any]
    sampling: str
    samples: int
    length: int
    seed: int


@dataclass(frozen=True)
class InfluenceSet:
    """Rows, drawn with `seed`, that influence is scored on; `length` is in tokens.

    `train_samples` are scored by their influence on the mean loss of `validation_samples` others.
    """

    name: str
    source: Mapping[str, Any]
    train_samples: int
    validation_samples: int
    length: int
    seed: int
    hessian: str


@dataclass(frozen=True)
class ThinkingFormat:
    """The texts that open a trace, end it, prolong it, and lead from it to the answer."""

    name: str
    open: str
    stop: str | tuple[str, ...]
    after_stop: str
    after_cap: str
    newline_before_cap: bool
    extend_with: str
    extensions: int


@dataclass(frozen=True)
class Variant:
    """A way to prune a model.

    `options` holds the keys that only this method takes, e.g. `remove_blocks`. A method without an
    allocation, a sparsity in (0, 1), a scope or a calibration set has None there.
    """

    name: str
    method: str
    options: Mapping[str, Any]
    allocation: Mapping[str, Any] | None
    sparsity: float | None
    scope: str | None
    calibration: str | None


@dataclass(frozen=True)
class Pruning:
    """Where the model runs on calibration sets (`cpu`, `cuda`)."""

    device: str


@dataclass(frozen=True)
class Generation:
    """How traces and answers are generated; budgets in tokens, ascending."""

    engine: str
    device: str
    tensor_parallel: int
    batch_invariant: bool
    engine_options: Mapping[str, Any]
    dtype: str
    budgets: tuple[int, ...]
    sweep: str
    repeats: int
    seeding: str
    seed: int | tuple[int, ...]
    temperature: float
    top_p: float
    top_k: int
    answer_tokens: int
    answer_beyond_context: str
    answer_sampling: Mapping[str, Any]
    batch_size: int
    threads: int


@dataclass(frozen=True)
class Judge:
    """An endpoint that judges answers.

    `key_variable` names the environment variable of its key; `timeout` is in seconds.
    """

    enabled: bool
    url: str
    model: str
    prompt: str
    key_variable: str
    max_tokens: int
    timeout: float
    attempts: int
    parallel: int


@dataclass(frozen=True)
class Settings:
    """A whole config. The catalogues may hold more than what is run."""

    run: Run
    models: Mapping[str, Model]
    benchmarks: Mapping[str, Benchmark]
    calibration_sets: Mapping[str, CalibrationSet]
    influence_sets: Mapping[str, InfluenceSet]
    thinking_formats: Mapping[str, ThinkingFormat]
    variants: Mapping[str, Variant]
    pruning: Pruning
    generation: Generation
    judge: Judge
