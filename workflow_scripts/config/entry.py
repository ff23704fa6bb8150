"""What every part of a config is: a pydantic class that is strict, closed and frozen.

A class holds its keys with defaults, bounds and a description for people; from it come the check of
a config, the JSON schema for editors, the tables of keys in the docs, and what a stage parses from
its flag `--options`.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from workflow_scripts.errors import InputError

# the keys below an entry that lead to a value, and what an error line says of it
Said = tuple[tuple[str | int, ...], str]


class Entry(BaseModel):
    """A mapping of the config. 3.0 is no whole number, NaN no number, `yes` no text."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False
    )

    def contradictions(self) -> Iterator[Said]:
        """What keys that are right by themselves are wrong in together."""
        yield from ()

    def unfit(self, blocks: int) -> Iterator[Said]:
        """What of its keys a model of so many blocks does not allow."""
        yield from ()

    def given(self) -> dict[str, Any]:
        """Its keys with their values, without those that were left out and have no default."""
        return {key: value for key, value in self if value is not None}

    @model_validator(mode="after")
    def _agrees(self) -> "Entry":
        found = list(self.contradictions())
        if found:
            said = "; ".join(f"{'.'.join(map(str, path))}: {what}" for path, what in found)
            raise PydanticCustomError("contradiction", "{said}", {"said": said, "found": found})
        return self


def absent(**about: Any) -> Any:
    """A key that may be left out and has no default: it is None then, and is never written."""
    return Field(default=None, **about)


def plain(entry: Entry, **chosen: Any) -> dict[str, Any]:
    """An entry as a JSON value with its defaults; `chosen` is pydantic's include or exclude."""
    return entry.model_dump(mode="json", exclude_none=True, **chosen)


def check_blocks(entry: Entry, blocks: int) -> None:
    """Raise `InputError`, a line for each key that a model of so many blocks does not allow."""
    said = [f"{'.'.join(map(str, path))}: {what}" for path, what in entry.unfit(blocks)]
    if said:
        raise InputError(*said)


def as_json(entry: Entry | dict[str, Any], **chosen: Any) -> str:
    """An entry as the text of a flag, keys sorted: a config's order of keys does not matter."""
    value = plain(entry, **chosen) if isinstance(entry, Entry) else entry
    return json.dumps(value, sort_keys=True)


def parser_of(kind: Any) -> Callable[[str], Any]:
    """What parses the flag `--options` of a stage: JSON, as a class or one of several.

    Raises `InputError`, a line for each key that is wrong.
    """

    def parse(text: str) -> Any:
        try:
            return TypeAdapter(kind).validate_json(text)
        except ValidationError as error:
            lines = [
                f"--options: {'.'.join(map(str, found['loc'])) or 'all of it'}: {found['msg']}"
                for found in error.errors(include_url=False)
            ]
            raise InputError(*lines) from None

    return parse
