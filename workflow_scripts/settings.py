"""The config as validated, frozen dataclasses: the one door between a user's config and the rules.

    configfile: "config/config.yaml"
    settings = load_settings(config)

config/schema.yaml says what a config may hold and the defaults of what it may leave out;
config/README.md explains it. Beyond the schema, the door checks that every name that one entry
takes from another catalogue is there, and that the files of what is run exist.
"""

import json
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
    """A dense checkpoint: where it comes from, and the name of its thinking format."""

    name: str
    source: Mapping[str, Any]
    thinking: str


@dataclass(frozen=True)
class Benchmark:
    """A set of problems; `sha256` is that of the normalised file, where it is pinned."""

    name: str
    source: Mapping[str, Any]
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
    """The texts that open a trace, end it, and lead from it to the answer."""

    name: str
    open: str
    stop: str
    after_stop: str
    after_cap: str


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
class Generation:
    """How traces and answers are generated; budgets in tokens, ascending."""

    engine: str
    device: str
    dtype: str
    budgets: tuple[int, ...]
    repeats: int
    seed: int
    temperature: float
    top_p: float
    top_k: int
    answer_tokens: int
    batch_size: int
    threads: int


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
    generation: Generation


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


def needs_allocation(variant: Variant) -> bool:
    """Whether a variant's mask is built from an allocation."""
    return variant.allocation is not None


def needs_statistics(variant: Variant) -> bool:
    """Whether a variant's mask is built from the statistics of its calibration set."""
    return variant.calibration is not None and not needs_calibration(variant)


def needs_calibration(variant: Variant) -> bool:
    """Whether building a variant's mask runs the model on the calibration set itself."""
    return variant.options.get("propagate") == "pruned"


def as_options(variant: Variant) -> dict[str, Any]:
    """What building a mask must know of a variant beside its files: `method` and its own options.

    Sparsity, allocation, scope and calibration set are not in it; they reach the mask as files.
    """
    return _thawed({"method": variant.method, **variant.options})


def generation_options(settings: Settings, model: str) -> dict[str, Any]:
    """What generation must know for one model: the generation settings and its `thinking` texts."""
    thinking = dict(vars(settings.thinking_formats[settings.models[model].thinking]))
    del thinking["name"]  # renaming a format changes nothing that is generated
    return _thawed({**vars(settings.generation), "thinking": thinking})


def trace_options(settings: Settings, model: str) -> dict[str, Any]:
    """What generating calibration traces must know for one model: only the largest budget counts.

    A trace is then the same as in the run itself, and is found in the generation store.
    """
    options = generation_options(settings, model)
    return {**options, "budgets": options["budgets"][-1:]}


def as_json(value: Mapping[str, Any]) -> str:
    """A source, an allocation or options as the text of one command-line flag, keys sorted."""
    return json.dumps(_thawed(value))


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
    budgets = tuple(sorted(generation["budgets"]))
    return Settings(
        run=Run(**{key: tuple(names) for key, names in config["run"].items()}),
        models=_catalogue(Model, config["models"]),
        benchmarks=_catalogue(Benchmark, config["benchmarks"]),
        calibration_sets=_catalogue(CalibrationSet, config["calibration_sets"]),
        influence_sets=_catalogue(InfluenceSet, config["influence_sets"]),
        thinking_formats=_catalogue(ThinkingFormat, config["thinking_formats"]),
        variants=MappingProxyType({k: _variant(k, v) for k, v in config["variants"].items()}),
        generation=Generation(**{**generation, **numbers, "budgets": budgets}),
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


def _thawed(value: Any) -> Any:
    """The plain JSON value again, keys sorted, so that a config's order of keys does not matter."""
    if isinstance(value, Mapping):
        return {key: _thawed(value[key]) for key in sorted(value)}
    return list(map(_thawed, value)) if isinstance(value, tuple) else value


def _missing_files(settings: Settings, root: Path) -> Iterator[Problem]:
    """The files that a run would look for in vain."""
    variants = [settings.variants[name] for name in settings.run.variants]
    allocations = [variant.allocation or {} for variant in variants]
    calibrations = [variant.calibration for variant in variants]
    calibrations += [allocation.get("calibration") for allocation in allocations]
    influences = [allocation.get("influence") for allocation in allocations]
    sets = dict.fromkeys(name for name in calibrations if name is not None)
    answered = [settings.calibration_sets[name].source.get("benchmark") for name in sets]
    benchmarks = [*settings.run.benchmarks, *(name for name in answered if name is not None)]
    used = {
        "models": settings.run.models,
        "benchmarks": dict.fromkeys(benchmarks),
        "calibration_sets": sets,
        "influence_sets": dict.fromkeys(name for name in influences if name is not None),
    }
    for catalogue, names in used.items():
        for name in names:
            source = getattr(settings, catalogue)[name].source
            yield from missing_source((catalogue, name, "source"), catalogue, source, root)
