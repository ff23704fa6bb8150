"""The one door between a user's config and the rules.

    configfile: "config/config.yaml"
    settings = load_settings(config)

The classes of this package say what a config may hold; docs/configuration-keys.md lists it. The
door also checks that every name that an entry takes from a catalogue is there, and that the files
of what is run exist.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from workflow_scripts.config.messages import (
    KeyPath,
    Problem,
    in_order,
    not_a_config,
    problems_of,
    texts_for_numbers,
)
from workflow_scripts.config.settings import Settings
from workflow_scripts.config.source_files import missing_file, missing_source
from workflow_scripts.config.tasks import Task
from workflow_scripts.config.uses import in_use, recovered_in_use
from workflow_scripts.errors import InputError

MAX_LINES = 10


def load_settings(
    config: Any, root: Path = Path("."), command_line: Mapping[str, Any] | None = None
) -> Settings:
    """Check a config and turn it into `Settings`; the config itself is left as it is.

    `root` is what local paths are relative to, `command_line` what the flag `--config` gave: of
    `generation={repeats: 1}` Snakemake reads the number as text. Raises `InputError` with a line
    for each problem, at most ten, each complete in itself. Files are looked at only where the
    config itself is sound, and only those of the models, benchmarks and calibration sets that are
    run.
    """
    if not isinstance(config, dict) or not config:
        refuse([not_a_config(config)])
    try:
        settings = Settings.model_validate(config, context=config)
    except ValidationError as error:
        if command_line:
            read = _with_numbers(config, command_line, texts_for_numbers(error))
            if read != config:
                return load_settings(read, root, command_line)
        refuse(in_order(problems_of(error, config), config))
    refuse(_untold_texts(settings))
    refuse(_missing_files(settings, root))
    return settings


def _with_numbers(config: dict, given: Mapping[str, Any], paths: Iterable[KeyPath]) -> dict:
    """A config with numbers for those texts at `paths` that were given and are one."""
    read = copy.deepcopy(config)
    for path in paths:
        with suppress(LookupError, TypeError):
            text, place = given, read
            for step in path:
                text = text[step]
            for step in path[:-1]:
                place = place[step]
            if place[path[-1]] == text:
                place[path[-1]] = _number(text)
    return read


def _number(text: str) -> bool | int | float | str:
    """The number that a text is, true or false; else the text again."""
    for parse in (int, float, {"true": True, "false": False}.__getitem__):
        with suppress(ValueError, KeyError):
            return parse(text)
    return text


def refuse(problems: Iterable[Problem]) -> None:
    """Raise `InputError` where there are problems."""
    lines = [str(problem) for problem in islice(problems, MAX_LINES + 1)]
    if len(lines) > MAX_LINES:
        lines[MAX_LINES] = f"config: more is wrong than these {MAX_LINES} lines say"
    if lines:
        raise InputError(*lines) from None


def _untold_texts(settings: Settings) -> Iterator[Problem]:
    """Models of which it is not said what they were trained on, where something draws from that."""
    drawn = {
        f"calibration_sets.{name}": settings.calibration_sets[name]
        for name in in_use(settings)["calibration_sets"]
        if settings.calibration_sets[name].source.kind == "own"
    }
    recovered = recovered_in_use(settings)
    for model in settings.run.models:
        names = dict.fromkeys(settings.recovery_name(name, model) for name in recovered)
        trained = {f"recoveries.{name}": settings.recoveries[name] for name in names}
        for place, entry in {**drawn, **trained}.items():
            if settings.texts_of(entry, model) is None:
                said = f"missing; {place} draws from it: a name from texts"
                yield Problem(("models", model, "trained_on"), said)
                break


def _missing_files(settings: Settings, root: Path) -> Iterator[Problem]:
    """The files that a run would look for in vain."""
    for catalogue, names in in_use(settings).items():
        for name in names:
            entry = getattr(settings, catalogue)[name]
            if hasattr(entry, "source"):
                yield from missing_source(
                    (catalogue, name, "source"), catalogue, entry.source, root
                )
            elif isinstance(entry, Task) and entry.file is not None:
                yield from missing_file((catalogue, name, "file"), entry.file, root)
