"""The one door between a user's config and the rules.

    configfile: "config/config.yaml"
    settings = load_settings(config)

The classes of this package say what a config may hold; docs/configuration-keys.md lists it. The
door also checks that every name that an entry takes from a catalogue is there, and that the files
of what is run exist.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from workflow_scripts.config.messages import Problem, in_order, not_a_config, problems_of
from workflow_scripts.config.settings import Settings
from workflow_scripts.config.source_files import missing_source
from workflow_scripts.config.uses import in_use
from workflow_scripts.errors import InputError

MAX_LINES = 10


def load_settings(config: Any, root: Path = Path(".")) -> Settings:
    """Check a config and turn it into `Settings`; the config itself is left as it is.

    `root` is what local paths are relative to. Raises `InputError` with a line for each problem, at
    most ten, each complete in itself. Files are looked at only where the config itself is sound,
    and only those of the models, benchmarks and calibration sets that are run.
    """
    if not isinstance(config, dict) or not config:
        _refuse([not_a_config(config)])
    try:
        settings = Settings.model_validate(config, context=config)
    except ValidationError as error:
        _refuse(in_order(problems_of(error, config), config))
    _refuse(_missing_files(settings, root))
    return settings


def _refuse(problems: Iterable[Problem]) -> None:
    """Raise `InputError` where there are problems."""
    lines = [str(problem) for problem in islice(problems, MAX_LINES + 1)]
    if len(lines) > MAX_LINES:
        lines[MAX_LINES] = f"config: more is wrong than these {MAX_LINES} lines say"
    if lines:
        raise InputError("\n".join(lines)) from None


def _missing_files(settings: Settings, root: Path) -> Iterator[Problem]:
    """The files that a run would look for in vain."""
    for catalogue, names in in_use(settings).items():
        for name in names:
            entry = getattr(settings, catalogue)[name]
            if hasattr(entry, "source"):
                yield from missing_source(
                    (catalogue, name, "source"), catalogue, entry.source, root
                )
