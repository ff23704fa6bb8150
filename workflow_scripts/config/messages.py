"""What is wrong with a config, in words: one line for each problem.

A line names the key by its path, the value found and what is allowed, as in
`config: variants.wanda-20.sparsity: 1.2 is not allowed; must be a number greater than 0 and less
than 1`. The words for what is allowed are made from the schema, so that they cannot differ from it.
"""

import datetime
import difflib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from jsonschema import ValidationError

from workflow_scripts.config.schema import Schema, schema_errors, tag_of

KeyPath = Sequence[str | int]

MAX_LEVELS = 12  # a config has six; YAML anchors can make one that contains itself
MAX_BITS = 64
MAX_SHOWN = 60  # characters of a value that an error line quotes
MAX_NAMES = 12  # of a catalogue

BOUNDS = {
    "exclusiveMinimum": "greater than",
    "minimum": "of at least",
    "exclusiveMaximum": "less than",
    "maximum": "at most",
}


class Problem(NamedTuple):
    """One thing that is wrong with a config: the key's path, and what is said about it."""

    path: KeyPath
    said: str

    def __str__(self) -> str:
        where = f"config: {dotted(self.path)}" if self.path else "config"
        return f"{where}: {self.said}"


def in_order(problems: Iterable[Problem], config: Any) -> list[Problem]:
    """The problems, each once, in the order of the config's own keys; missing keys come last."""

    def place(problem: Problem) -> list[int]:
        steps, value = [], config
        for step in problem.path:
            keys = range(len(value)) if isinstance(step, int) else list(value)
            found = step in keys
            steps.append(keys.index(step) if found else len(keys))
            value = value[step] if found else {}
        return steps

    return sorted(dict.fromkeys(problems), key=place)


def dotted(path: KeyPath) -> str:
    """A path as it is spoken of: `run.models[0]`; odd keys are quoted."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + _spoken(step)
    return text


def shown(value: Any) -> str:
    """A value as an error line quotes it: on one line, cut where it is long."""
    if value is None:
        return "an empty value (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, datetime.date):
        return f"the date {value}"
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        return f"a number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 4] + "..." + text[-1]


def listed(names: Iterable[str]) -> str:
    """Names in a row, or `none`."""
    return ", ".join(map(_spoken, names)) or "none"


def nearest(name: Any, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` where a known name is near, else nothing."""
    near = _nearest(name, known)
    return f"; did you mean {shown(near)}?" if near else ""


def _nearest(name: Any, known: Iterable[str]) -> str | None:
    """The known name that `name` is a slip for, its case aside; None where there is none."""
    if not isinstance(name, str):
        return None
    by_lower = {other.lower(): other for other in known}
    # 0.7: `calibration` is no slip for `allocation` (0.67), `think` is one for `thinking` (0.77)
    near = difflib.get_close_matches(name.lower(), by_lower, 1, 0.7)
    return by_lower[near[0]] if near else None


def allowed(schema: Schema) -> str:
    """What a schema allows, in words that follow `must be`."""
    if "x-allowed" in schema:
        return schema["x-allowed"]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        choices = listed(schema["enum"])
        return f"one of {choices}" if len(schema["enum"]) > 1 else choices
    if "oneOf" in schema:
        tag = tag_of(schema["oneOf"])
        kinds = [kind["properties"][tag]["const"] for kind in schema["oneOf"]]
        return f"a mapping with the key {tag} ({'one of ' if kinds[1:] else ''}{listed(kinds)})"
    if schema["type"] == "object":
        if "properties" in schema:
            return f"a mapping with the keys {listed(schema['properties'])}"
        return "a mapping with names as keys"
    if schema["type"] == "array":
        return f"a list of one or more different items, each {allowed(schema['items'])}"
    if schema["type"] == "string":
        return "text that is not empty" if schema.get("minLength") else "text"
    if schema["type"] == "boolean":
        return "true or false"
    noun = {"integer": "a whole number", "number": "a number"}[schema["type"]]
    bounds = [f"{words} {schema[key]}" for key, words in BOUNDS.items() if key in schema]
    return f"{noun} {' and '.join(bounds)}".rstrip()


def refused(path: KeyPath, value: Any, schema: Schema) -> Problem:
    """The problem of a value that `schema` does not allow."""
    near = nearest(value, schema.get("enum", []))
    wanted = allowed(schema) + _hint(value, schema)
    return Problem(path, f"{shown(value)} is not allowed{near or ';'} must be {wanted}")


def unknown_name(path: KeyPath, name: str, known: Iterable[str], what: str) -> Problem:
    """The problem of a name that is not among those that exist; `what` says among what."""
    known = list(known)
    near = nearest(name, known)
    more = f" and {len(known) - MAX_NAMES} more" if len(known) > MAX_NAMES else ""
    there = listed(known[:MAX_NAMES]) + more
    return Problem(path, f"{shown(name)} is not in {what}{near or ';'} there: {there}")


def not_plain(value: Any, path: KeyPath = ()) -> Iterator[Problem]:
    """What YAML can hold and the schema cannot judge: odd keys, dates, endless values."""
    if len(path) > MAX_LEVELS and isinstance(value, (dict, list)):
        yield Problem(path[:4], f"nested deeper than {MAX_LEVELS} levels; must not contain itself")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                yield Problem(path, f"the key {shown(key)} is not text; put it in quotes")
            elif _odd_text(key):
                yield Problem(path, f"the key {shown(key)} is not allowed; must be plain text")
            else:
                yield from not_plain(item, (*path, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from not_plain(item, (*path, position))
    elif isinstance(value, str):
        if _odd_text(value):
            yield Problem(
                path,
                f"{shown(value)} is not allowed; must be text that UTF-8 can hold, without NUL",
            )
    elif isinstance(value, int):
        if value.bit_length() > MAX_BITS:
            yield Problem(path, f"{shown(value)} is not allowed; must be below 2**{MAX_BITS}")
    elif value is not None and not isinstance(value, float):
        yield Problem(
            path,
            f"{shown(value)} is not allowed; must be text, a number, true, false, a list or a "
            "mapping (text in quotes stays text)",
        )


def schema_problems(config: dict[str, Any], schema: Schema) -> Iterator[Problem]:
    """Everything in `config` that the schema does not allow; some of it more than once."""
    for error in schema_errors(config, schema):
        yield from _problems_of(error)


def _problems_of(error: ValidationError) -> Iterator[Problem]:
    path, value, schema = tuple(error.absolute_path), error.instance, error.schema
    if "propertyNames" in error.absolute_schema_path:
        if error.validator == "not":
            taken = listed(error.validator_value["enum"])
            yield Problem(
                (*path, value),
                f"this name is not allowed; {taken} are names of other things in results/",
            )
        else:
            yield Problem((*path, value), f"this name is not allowed; must be {allowed(schema)}")
    elif error.validator == "additionalProperties":
        for key in value:
            if key not in schema["properties"]:
                yield _unknown_key((*path, key), schema)
    elif error.validator == "required":
        slips = _slips(value, schema)
        for key in schema["required"]:
            if key not in value and key not in slips:
                yield _missing_key((*path, key), schema)
    elif error.validator == "dependentRequired":
        slips = _slips(value, schema)
        for key, needed in schema["dependentRequired"].items():
            for other in needed:
                if key in value and other not in value and other not in slips:
                    wanted = allowed(schema["properties"][other])
                    yield Problem((*path, other), f"missing; {key} needs it; must be {wanted}")
    elif error.validator == "uniqueItems":
        twice = ", ".join(dict.fromkeys(shown(item) for item in value if value.count(item) > 1))
        yield Problem(path, f"{twice} stands there more than once; must be {allowed(schema)}")
    elif error.validator == "minItems":
        yield Problem(path, f"an empty list is not allowed; must be {allowed(schema)}")
    elif error.validator == "oneOf" and isinstance(value, dict):
        yield _unknown_kind(path, value, schema["oneOf"])
    else:
        yield refused(path, value, schema)


def _slips(value: dict[str, Any], schema: Schema) -> set[str | None]:
    """Known keys that unknown ones are slips for: their lines say so, and no other need to."""
    known = schema["properties"]
    return {_nearest(key, known) for key in value.keys() - known.keys()}


def _unknown_key(path: KeyPath, schema: Schema) -> Problem:
    keys = schema["properties"]
    near = nearest(path[-1], keys)
    kind = _kind_of(schema)
    if kind:
        return Problem(path, f"{kind} does not take this key{near or ';'} it takes {listed(keys)}")
    return Problem(path, f"unknown key{near or ';'} allowed: {listed(keys)}")


def _missing_key(path: KeyPath, schema: Schema) -> Problem:
    kind = _kind_of(schema)
    needed = f"missing; {kind} needs it" if kind else "missing"
    return Problem(path, f"{needed}; must be {allowed(schema['properties'][path[-1]])}")


def _unknown_kind(path: KeyPath, value: dict[str, Any], kinds: list[Schema]) -> Problem:
    tag = tag_of(kinds)
    choices = {"enum": [kind["properties"][tag]["const"] for kind in kinds]}
    if tag not in value:
        for key in value:
            if _nearest(key, [tag]):
                said = f"unknown key; did you mean {shown(tag)}? it must be {allowed(choices)}"
                return Problem((*path, key), said)
        return Problem((*path, tag), f"missing; must be {allowed(choices)}")
    return refused((*path, tag), value[tag], choices)


def _kind_of(schema: Schema) -> str:
    """`method wanda` where the schema is one kind of a `oneOf`, else nothing."""
    tags = ((key, node["const"]) for key, node in schema["properties"].items() if "const" in node)
    return " ".join(next(tags, ()))


def _spoken(name: str) -> str:
    """A key or name as it is; quoted where it could be mistaken for the words around it."""
    return name if re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", name) else shown(name)


def _odd_text(text: str) -> bool:
    """Whether a text cannot be a file name, an argument or UTF-8."""
    return "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)


def _hint(value: Any, schema: Schema) -> str:
    """How to mend the usual slips of YAML: quotes too many, too few, no brackets."""
    wanted = schema.get("type")
    if wanted == "string" and isinstance(value, (bool, int, float)):
        return "; put it in quotes if it is meant as text"
    if wanted == "array" and isinstance(value, str) and value:
        return f"; a list of one is written [{shown(value)}]"
    if wanted in ("integer", "number") and isinstance(value, str):
        try:
            number = int(value) if wanted == "integer" else float(value)
        except ValueError:
            return ""
        return f"; write {shown(number)}, without quotes" if math.isfinite(number) else ""
    return ""
