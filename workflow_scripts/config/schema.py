"""The config's schema (config/schema.yaml): read, enforced strictly, and its defaults filled in.

Imported by the Snakefile through `settings`, so nothing heavier than jsonschema and yaml.
"""

import copy
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from workflow_scripts.paths import CONFIG

SCHEMA_FILE = CONFIG / "schema.yaml"

Schema = dict[str, Any]


def read_schema(path: Path = SCHEMA_FILE) -> Schema:
    """The schema with every `$ref` replaced by what it names; keys beside a `$ref` win."""
    # libyaml, where yaml was built with it, reads the schema five times faster
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    raw = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    definitions = raw.pop("$defs")

    def expand(node: Any) -> Any:
        if isinstance(node, list):
            return [expand(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            node = {**definitions[node["$ref"].removeprefix("#/$defs/")], **node}
            del node["$ref"]
            return expand(node)
        return {key: expand(item) for key, item in node.items()}

    return expand(raw)


def schema_errors(config: Any, schema: Schema) -> Iterator[ValidationError]:
    """Everything in `config` that the schema does not allow.

    Stricter than plain JSON Schema where YAML sets traps: 3.0 is not a whole number, NaN and the
    infinities are not numbers, and a pattern covers the whole text, a final newline included.
    Where a mapping is one of several kinds (`oneOf`), the errors are those of the kind it names.
    """
    return _StrictValidator(schema).iter_errors(config)


def tag_of(kinds: list[Schema]) -> str:
    """The key by whose `const` the kinds of a `oneOf` differ, e.g. `method`."""
    return next(key for key, node in kinds[0]["properties"].items() if "const" in node)


def kind_named(kinds: list[Schema], tag: str, value: Any) -> Schema | None:
    """The kind whose `const` is `value`, or None."""
    return next((kind for kind in kinds if kind["properties"][tag]["const"] == value), None)


def with_defaults(value: Any, schema: Schema) -> Any:
    """A copy of a config that fits `schema`, with the defaults of the keys it leaves out.

    Where a number may have a fraction it is a float, so that 5 and 5.0 are the same settings.
    """
    if "oneOf" in schema:
        tag = tag_of(schema["oneOf"])
        schema = kind_named(schema["oneOf"], tag, value[tag])
    if isinstance(value, list):
        return [with_defaults(item, schema["items"]) for item in value]
    if not isinstance(value, dict):
        return float(value) if schema.get("type") == "number" else value
    known = schema.get("properties", {})
    filled = {
        key: with_defaults(item, known.get(key) or schema["additionalProperties"])
        for key, item in value.items()
    }
    for key, node in known.items():
        if key not in filled and "default" in node:
            filled[key] = copy.deepcopy(node["default"])
    return filled


def _is_number(_: Any, value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole_number(_: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _whole_pattern(
    validator: Any, pattern: str, value: Any, _: Schema
) -> Iterator[ValidationError]:
    """`pattern`, but `$` does not let a final newline through as it does in Python."""
    if isinstance(value, str) and not re.fullmatch(pattern, value):
        yield ValidationError("does not match")


def _kind_by_tag(
    validator: Any, kinds: list[Schema], value: Any, _: Schema
) -> Iterator[ValidationError]:
    """`oneOf` for kinds that differ in one `const`: only the named kind's errors are of use."""
    tag = tag_of(kinds)
    kind = kind_named(kinds, tag, value.get(tag)) if isinstance(value, dict) else None
    if kind is None:
        yield ValidationError("is none of the kinds")
    else:
        yield from validator.descend(value, kind, schema_path=kinds.index(kind))


_StrictValidator = validators.extend(
    Draft202012Validator,
    validators={"pattern": _whole_pattern, "oneOf": _kind_by_tag},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"number": _is_number, "integer": _is_whole_number}
    ),
)
