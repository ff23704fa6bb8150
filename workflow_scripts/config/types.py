"""The kinds of values that keys of the config have."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial, reduce
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

Anything = TypeVar("Anything")
MAX_BITS = 63  # of a whole number


def fitting(number: int) -> int:
    """A whole number that every reader of JSON takes."""
    if number.bit_length() > MAX_BITS:
        raise PydanticCustomError("too_large", "must be below 2**{bits}", {"bits": MAX_BITS})
    return number


def _without_nul(text: str) -> str:
    if "\0" in text:  # no file name and no argument of a command can hold it
        raise PydanticCustomError("nul", "holds NUL")
    return text


def matching(pattern: str, allowed: str) -> Any:
    """Text that a pattern matches as a whole; `allowed` says in words what it allows."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text) or "\0" in text:
            raise PydanticCustomError("pattern", "must be {allowed}", {"allowed": allowed})
        return text

    schema = {"type": "string", "pattern": f"^(?:{pattern})$", "x-allowed": allowed}
    return Annotated[str, AfterValidator(check), WithJsonSchema(schema)]


def _day(value: Any) -> Any:
    """YAML takes 2026-11-27 for a date and not for a text."""
    return value.isoformat() if type(value) is date else value


def _exists(text: str) -> str:
    if text != "auto":
        try:
            date.fromisoformat(text)
        except ValueError:
            raise PydanticCustomError("no_day", "there is no such day") from None
    return text


def in_words(allowed: str) -> dict[str, Any]:
    """What an error line says a key must be, where its type does not say it well."""
    return {"json_schema_extra": {"x-allowed": allowed}}


@dataclass(frozen=True)
class From:
    """Marks a key that holds a name from a catalogue of the config, where `is_name` says so."""

    catalogue: str
    is_name: Callable[[Any], bool] = bool


def named(catalogue: str, allowed: str | None = None) -> Any:
    """A name from a catalogue; checked where validation is given the catalogues as its context."""

    check = AfterValidator(partial(check_name, catalogue))
    schema = {"type": "string", "x-allowed": allowed or f"a name from {catalogue}"}
    return Annotated[str, check, WithJsonSchema(schema), From(catalogue)]


def check_name(catalogue: str, name: str, info: ValidationInfo) -> str:
    """A name that is in a catalogue, where the catalogues are known."""
    known = (info.context or {}).get(catalogue)
    if isinstance(known, dict) and name not in known:
        raise PydanticCustomError("unknown_name", "unknown", {"catalogue": catalogue})
    return name


def one_of(kinds: Mapping[str, type], tag: str) -> Any:
    """A mapping that is one of several classes, told apart by the value of the key `tag`."""
    return Annotated[reduce(operator.or_, kinds.values()), Field(discriminator=tag)]


def some(items: Sequence[Any]) -> Sequence[Any]:
    """Items, of which there must be some."""
    if not items:
        raise PydanticCustomError("empty", "is empty")
    return items


def different(items: Sequence[Any]) -> Sequence[Any]:
    """Items, none of them twice."""
    if len(set(items)) < len(items):
        raise PydanticCustomError("repeated", "holds something more than once")
    return items


AS_TUPLE = BeforeValidator(lambda items: tuple(items) if isinstance(items, list) else items)

# one or more items, none twice
Different = Annotated[
    tuple[Anything, ...],
    AS_TUPLE,
    AfterValidator(some),
    AfterValidator(different),
    Field(json_schema_extra={"minItems": 1, "uniqueItems": True}),
]

Day = Annotated[
    matching(r"auto|\d{4}-\d\d-\d\d", "auto, or a day such as 2026-11-27"),
    BeforeValidator(_day),
    AfterValidator(_exists),
]
Whole = Annotated[int, Field(ge=0), AfterValidator(fitting)]
Count = Annotated[int, Field(ge=1), AfterValidator(fitting)]
Seed = Annotated[int, Field(ge=0, le=4294967295)]
Fraction = Annotated[float, Field(ge=0, le=1)]
AnyText = Annotated[str, AfterValidator(_without_nul)]
Text = Annotated[str, Field(min_length=1), AfterValidator(_without_nul)]

Sha256 = matching("[0-9a-f]{64}", "64 lowercase hexadecimal digits")

Name = matching(
    "[A-Za-z0-9][A-Za-z0-9._-]{0,99}",
    "at most 100 letters, digits, '.', '_' and '-', the first one a letter or digit (names become "
    "folder names)",
)


def name_beside(*taken: str) -> Any:
    """The name of a folder in results/ that stands beside others."""

    def check(name: str) -> str:
        if name in taken:
            raise PydanticCustomError("reserved", "taken", {"taken": taken})
        return name

    return Annotated[Name, AfterValidator(check)]


def file_name(*suffixes: str, allowed: str) -> Any:
    """The path of a file by what its name ends in."""
    return matching(rf".*[^/]\.({_either(suffixes)})", allowed)


def file_in_repository(*suffixes: str, allowed: str) -> Any:
    """The path of a file in a repository of the hub: relative, and it never leads upward."""
    pattern = rf"(?!(.*/)?\.\.?/)([^/]+/)*[^/]+\.({_either(suffixes)})"
    return matching(pattern, f"the path in the repository of {allowed}")


def _either(suffixes: Sequence[str]) -> str:
    return "|".join(re.escape(suffix) for suffix in suffixes)
