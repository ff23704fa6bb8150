"""The one door between a user's config and the rules.

    configfile: "config/config.yaml"
    settings = load_settings(config)

config/schema.yaml says what a config may hold and the defaults of what it may leave out;
config/README.md explains it. Beyond the schema, the door checks that every name that one entry
takes from another catalogue is there, and that the files of what is run exist.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workflow_scripts.config.consistency import contradictions, unknown_references
from workflow_scripts.config.messages import (
    Problem,
    allowed,
    in_order,
    not_plain,
    schema_problems,
    shown,
)
from workflow_scripts.config.schema import read_schema, with_defaults
from workflow_scripts.config.settings import (
    Benchmark,
    CalibrationSet,
    Generation,
    InfluenceSet,
    Judge,
    Model,
    Pruning,
    Run,
    Settings,
    ThinkingFormat,
    Variant,
)
from workflow_scripts.config.sources import missing_source
from workflow_scripts.config.uses import in_use
from workflow_scripts.errors import InputError

MAX_LINES = 10


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
    lines = [str(problem) for problem in islice(problems, MAX_LINES + 1)]
    if len(lines) > MAX_LINES:
        lines[MAX_LINES] = f"config: more is wrong than these {MAX_LINES} lines say"
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


def _missing_files(settings: Settings, root: Path) -> Iterator[Problem]:
    """The files that a run would look for in vain."""
    for catalogue, names in in_use(settings).items():
        for name in names:
            source = getattr(settings, catalogue)[name].source
            yield from missing_source((catalogue, name, "source"), catalogue, source, root)
