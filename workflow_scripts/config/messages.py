"""What is wrong with a config, in words: one line for each problem.

A line names the key by its path, the value found and what is allowed, as in
`config: variants.wanda-20.sparsity: 1.2 is not allowed; must be a number greater than 0 and less
than 1`. The words for what is allowed are made from the classes' JSON schema, so that they cannot
differ from them.
"""

import datetime
import difflib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from workflow_scripts.config.entry import Entry
from workflow_scripts.config.schema import Schema, expanded_schema, tag_of
from workflow_scripts.config.types import MAX_BITS

KeyPath = Sequence[str | int]

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
            keys = list(range(len(value)) if isinstance(value, list) else value)
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
    if isinstance(value, (dict, Entry)):
        return "a mapping"
    if isinstance(value, (list, tuple)):
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


def unknown_name(path: KeyPath, name: str, known: Iterable[str], what: str) -> Problem:
    """The problem of a name that is not among those that exist; `what` says among what."""
    known = [other for other in known if isinstance(other, str)]
    near = _did_you_mean(name, known)
    more = f" and {len(known) - MAX_NAMES} more" if len(known) > MAX_NAMES else ""
    there = listed(known[:MAX_NAMES]) + more
    return Problem(path, f"{shown(name)} is not in {what}{near or ';'} there: {there}")


def not_a_config(value: Any) -> Problem:
    """The problem of a config that is no mapping, or an empty one."""
    found = "an empty config" if value in (None, {}) else shown(value)
    return Problem((), f"{found} is not allowed; must be {allowed(expanded_schema())}")


def problems_of(error: ValidationError, config: dict[str, Any]) -> Iterator[Problem]:
    """What pydantic found wrong with a config, in words."""
    errors = error.errors(include_url=False)
    misnamed = {found["loc"][:-1] for found in errors if found["loc"][-1:] == ("[key]",)}
    unknown: dict[tuple[str, str], list[KeyPath]] = {}
    for found in errors:
        is_name = found["loc"][-1:] == ("[key]",)
        above = (found["loc"][:length] for length in range(len(found["loc"]) + 1))
        if not is_name and not misnamed.isdisjoint(above):
            continue  # what is wrong below a name that is no name
        path, node, holder = _spot(found["loc"])
        kind, value, context = found["type"], found["input"], found.get("ctx", {})
        if kind == "unknown_name":
            unknown.setdefault((value, context["catalogue"]), []).append(path)
        elif kind == "contradiction":
            for keys, said in context["found"]:
                is_missing = said.startswith("missing; ") and said.endswith(" needs it")
                wanted = allowed(_spot(keys, node)[1]) if is_missing else ""
                yield Problem((*path, *keys), f"{said}; must be {wanted}" if wanted else said)
        elif kind == "string_unicode":
            yield Problem(path, f"{shown(value)} is not allowed; must be text that UTF-8 can hold")
        elif kind == "invalid_key" or (is_name and kind == "string_type"):
            key = shown(value if kind == "string_type" else path[-1])
            yield Problem(path[:-1], f"the key {key} is not text; put it in quotes")
        elif kind == "reserved":
            taken = f"{listed(context['taken'])} are names of other things in results/"
            yield Problem(path, f"this name is not allowed; {taken}")
        elif is_name:
            yield Problem(path, f"this name is not allowed; must be {allowed(node)}")
        elif kind == "extra_forbidden":
            yield _unknown_key(path, holder)
        elif kind == "missing":
            if path[-1] not in _slips(_value_at(config, path[:-1]), holder):
                yield _missing_key(path, holder)
        elif kind.startswith("union_tag"):
            yield _unknown_kind(path, value, node["oneOf"])
        else:
            yield _refused(path, value, node, kind)
    for (name, catalogue), (path, *others) in unknown.items():
        problem = unknown_name(path, name, config.get(catalogue, ()), catalogue)
        keys = "another key names" if len(others) == 1 else f"{len(others)} more keys name"
        yield Problem(path, f"{problem.said} ({keys} it)") if others else problem


def texts_for_numbers(error: ValidationError) -> Iterator[KeyPath]:
    """Where text stands and a number, true or false is wanted."""
    for found in error.errors(include_url=False):
        wants_other = found["type"] in ("int_type", "float_type", "bool_type")
        if wants_other and isinstance(found["input"], str):
            yield _spot(found["loc"])[0]


def _spot(loc: Sequence[Any], node: Schema | None = None) -> tuple[KeyPath, Schema, Schema]:
    """Where pydantic's `loc` is: the key path, the schema of the value, that of what holds it.

    `loc` also has steps into the kinds of a `oneOf`, by what tells these apart.
    """
    node = node or expanded_schema()
    path, holder = [], node
    for position, step in enumerate(loc):
        if step == "[key]":
            node = holder.get("propertyNames", {})
        elif "oneOf" in node:
            tag = tag_of(node["oneOf"])
            if tag:
                node = next(k for k in node["oneOf"] if k["properties"][tag]["const"] == step)
            elif position + 1 < len(loc):  # at the end the words are those of all kinds together
                node = next(kind for kind in node["oneOf"] if kind["type"] == step)
        else:
            path.append(step)
            holder = node
            rest = node.get("items", node.get("additionalProperties"))
            node = node.get("properties", {}).get(step) or rest or {}
    return tuple(path), node, holder


def _value_at(value: Any, path: KeyPath) -> Any:
    for step in path:
        value = value[step]
    return value


def allowed(schema: Schema) -> str:
    """What a schema allows, in words that follow `must be`."""
    if "x-allowed" in schema:
        return schema["x-allowed"]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return f"one of {listed(schema['enum'])}"
    if "oneOf" in schema:
        tag = tag_of(schema["oneOf"])
        kinds = [kind["properties"][tag]["const"] for kind in schema["oneOf"]]
        return f"a mapping with the key {tag} (one of {listed(kinds)})"
    if schema["type"] == "object":
        if "properties" in schema:
            return f"a mapping with the keys {_keys(schema)}"
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


def _refused(path: KeyPath, value: Any, schema: Schema, kind: str) -> Problem:
    """The problem of a value that `schema` does not allow."""
    wanted = allowed(schema)
    if kind == "repeated":
        twice = ", ".join(dict.fromkeys(shown(item) for item in value if value.count(item) > 1))
        return Problem(path, f"{twice} is listed more than once; must be {wanted}")
    if kind == "empty":
        return Problem(path, f"an empty list is not allowed; must be {wanted}")
    if kind == "too_large":
        wanted = f"below 2**{MAX_BITS}"
    if kind == "nul":
        wanted = "text without NUL"
    words = [word for kind in (schema, *schema.get("oneOf", ())) for word in kind.get("enum", ())]
    near = _did_you_mean(value, words)
    said = f"{shown(value)} is not allowed{near or ';'} must be {wanted}"
    return Problem(path, said + _hint(value, schema))


def _did_you_mean(name: Any, known: Iterable[str]) -> str:
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


def _slips(value: dict[str, Any], schema: Schema) -> set[str | None]:
    """Known keys that unknown ones are slips for: their lines say so, and no other need to."""
    known = schema["properties"]
    return {_nearest(key, known) for key in value.keys() - known.keys()}


def _unknown_key(path: KeyPath, schema: Schema) -> Problem:
    near = _did_you_mean(path[-1], schema["properties"]) or ";"
    kind = _kind_of(schema)
    if kind:
        return Problem(path, f"{kind} does not take this key{near} it takes {_keys(schema)}")
    return Problem(path, f"unknown key{near} allowed: {_keys(schema)}")


def _missing_key(path: KeyPath, schema: Schema) -> Problem:
    kind = _kind_of(schema)
    needed = f"missing; {kind} needs it" if kind else "missing"
    return Problem(path, f"{needed}; must be {allowed(schema['properties'][path[-1]])}")


def _unknown_kind(path: KeyPath, value: dict[str, Any], kinds: list[Schema]) -> Problem:
    tag = tag_of(kinds)
    choices = {"enum": [kind["properties"][tag]["const"] for kind in kinds]}
    if tag in value:
        return _refused((*path, tag), value[tag], choices, "")
    for key in value:
        if _nearest(key, [tag]):
            said = f"unknown key; did you mean {shown(tag)}? it must be {allowed(choices)}"
            return Problem((*path, key), said)
    return Problem((*path, tag), f"missing; must be {allowed(choices)}")


def _kind_of(schema: Schema) -> str:
    """`method wanda` where the schema is one kind of a `oneOf`, else nothing."""
    tag = tag_of([schema])
    return f"{tag} {schema['properties'][tag]['const']}" if tag else ""


def _keys(schema: Schema) -> str:
    """The keys of a mapping; what tells its kind comes first."""
    return listed(sorted(schema["properties"], key=lambda key: key != tag_of([schema])))


def _spoken(name: str) -> str:
    """A key or name as it is; quoted where it could be mistaken for the words around it."""
    return name if re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", name) else shown(name)


def _hint(value: Any, schema: Schema) -> str:
    """How to mend the usual slips of YAML: quotes too many, too few, no brackets."""
    wanted = schema.get("type")
    if wanted == "string" and isinstance(value, (bool, int, float, datetime.date)):
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
