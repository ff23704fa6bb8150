"""The config as validated, frozen dataclasses: the one door between a user's config and the rules.

    configfile: "config/config.yaml"
    settings = load_settings(config)

config/schema.yaml says what a config may hold and the defaults of what it may leave out;
config/README.md explains it. Beyond the schema, the door checks that every name that one entry
takes from another catalogue is there, and that the files of what is run exist.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workflow_scripts.config_errors import (
    Problem,
    allowed,
    in_order,
    not_plain,
    schema_problems,
    shown,
)
from workflow_scripts.config_files import missing_source
from workflow_scripts.config_rules import contradictions, unknown_references
from workflow_scripts.config_schema import read_schema, with_defaults
from workflow_scripts.errors import InputError

MOST_LINES = 10


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


def load_settings(config: Any, root: Path = Path(".")) -> Settings:
    """Check a config and turn it into `Settings`; the config itself is left as it is.

    `root` is what local paths are relative to. Raises `InputError` with a line for each problem, at
    most ten, each complete in itself. Files are looked at only where the config itself is sound,
    and only those of the models, benchmarks and calibration sets that are run.
    """
    schema = read_schema()
    if not isinstance(config, dict) or not config:
        found = "an empty config" if config in (None, {}) else shown(config)
        _refuse([Problem((), f"{found} is not allowed; must be {allowed(schema)}")])
    _refuse(not_plain(config))
    problems = chain(schema_problems(config, schema), unknown_references(config))
    _refuse(in_order(problems, config))
    complete = with_defaults(config, schema)
    _refuse(in_order(contradictions(complete), config))
    settings = _settings_from(complete)
    _refuse(_missing_files(settings, root))
    return settings


def _refuse(problems: Iterable[Problem]) -> None:
    """Raise `InputError` where there are problems."""
    lines = [str(problem) for problem in islice(problems, MOST_LINES + 1)]
    if len(lines) > MOST_LINES:
        lines[MOST_LINES] = f"config: more is wrong than these {MOST_LINES} lines say"
    if lines:
        raise InputError("\n".join(lines))


def _settings_from(config: dict[str, Any]) -> Settings:
    """The dataclasses of a config that is sound and has its defaults."""
    generation = config["generation"]
    numbers = {key: float(generation[key]) for key in ("temperature", "top_p")}
    budgets = sorted(generation["budgets"])
    return Settings(
        run=Run(**{key: tuple(names) for key, names in config["run"].items()}),
        models=_catalogue(Model, config["models"]),
        benchmarks=_catalogue(Benchmark, config["benchmarks"]),
        calibration_sets=_catalogue(CalibrationSet, config["calibration_sets"]),
        influence_sets=_catalogue(InfluenceSet, config["influence_sets"]),
        thinking_formats=_catalogue(ThinkingFormat, config["thinking_formats"]),
        variants=MappingProxyType({k: _variant(k, v) for k, v in config["variants"].items()}),
        pruning=Pruning(**config["pruning"]),
        generation=Generation(**_frozen({**generation, **numbers, "budgets": budgets})),
        judge=Judge(**config["judge"]),
    )


def _catalogue(kind: type, entries: dict[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(
        {
            name: kind(name=name, **{key: _frozen(value) for key, value in entry.items()})
            for name, entry in entries.items()
        }
    )


def _variant(name: str, entry: dict[str, Any]) -> Variant:
    options = dict(entry)
    return Variant(
        name=name,
        method=options.pop("method"),
        allocation=_frozen(options.pop("allocation", None)),
        sparsity=options.pop("sparsity", None),
        scope=options.pop("scope", None),
        calibration=options.pop("calibration", None),
        options=_frozen(options),
    )


def _frozen(value: Any) -> Any:
    """A JSON value with its mappings read-only and its lists as tuples."""
    if isinstance(value, dict):
        return MappingProxyType({key: _frozen(item) for key, item in value.items()})
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def in_use(settings: Settings) -> dict[str, list[str]]:
    """The names of what is run, by catalogue: also what a variant needs that no list names."""
    variants = [settings.variants[name] for name in settings.run.variants]
    allocations = [variant.allocation or {} for variant in variants]
    calibrations = [variant.calibration for variant in variants]
    calibrations += [allocation.get("calibration") for allocation in allocations]
    influences = [allocation.get("influence") for allocation in allocations]
    sets = _named(calibrations)
    answered = [settings.calibration_sets[name].source.get("benchmark") for name in sets]
    return {
        "models": [*settings.run.models],
        "benchmarks": _named([*settings.run.benchmarks, *answered]),
        "calibration_sets": sets,
        "influence_sets": _named(influences),
    }


def _named(names: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name is not None))


def _missing_files(settings: Settings, root: Path) -> Iterator[Problem]:
    """The files that a run would look for in vain."""
    for catalogue, names in in_use(settings).items():
        for name in names:
            source = getattr(settings, catalogue)[name].source
            yield from missing_source((catalogue, name, "source"), catalogue, source, root)
