"""The config's JSON schema, made from the classes: for editors, and for the words of error lines.

    python -m workflow_scripts.config.schema

writes config/schema.json. `x-allowed` in it says in words what a pattern allows.
"""

import ast
import inspect
import itertools
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from workflow_scripts.config.entry import Entry, plain
from workflow_scripts.config.settings import Settings
from workflow_scripts.files.atomic import write_text
from workflow_scripts.paths import CONFIG

SCHEMA_FILE = CONFIG / "schema.json"

Schema = dict[str, Any]
PARTS = ("keys", "values")  # of a catalogue


class _Generator(GenerateJsonSchema):
    """Without titles, which say what the keys say, and without nulls, which no key may hold."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> Schema:
        made = super().default_schema(schema)
        if made.get("default", 0) is None:
            del made["default"]
        return made

    def model_schema(self, schema: Any) -> Schema:
        made = super().model_schema(schema)
        for kind in reversed(schema["cls"].__mro__[:-1]):
            for key, said in _said(kind.__module__).get(kind.__name__, {}).items():
                if key in made["properties"]:
                    made["properties"][key]["description"] = said
        return made

    def dict_schema(self, schema: Any) -> Schema:
        names, entries = (self.generate_inner(schema[f"{part}_schema"]) for part in PARTS)
        return {"type": "object", "propertyNames": names, "additionalProperties": entries}

    def encode_default(self, dft: Any) -> Any:
        return plain(dft) if isinstance(dft, Entry) else super().encode_default(dft)


@cache
def _said(module: str) -> dict[str, dict[str, str]]:
    """The docstrings of keys, which stand below them, by class and key."""
    said: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(sys.modules[module])).body:
        if isinstance(node, ast.ClassDef):
            for key, below in itertools.pairwise(node.body):
                if isinstance(key, ast.AnnAssign) and isinstance(below, ast.Expr):
                    text = " ".join(ast.literal_eval(below.value).split())
                    said.setdefault(node.name, {})[key.target.id] = text
    return said


def json_schema() -> Schema:
    """The schema as editors read it, with `$ref`s."""
    made = Settings.model_json_schema(schema_generator=_Generator)
    for definition in made["$defs"].values():
        definition.pop("title")
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return dialect | made | {"title": "prunethink config"}


@cache
def expanded_schema() -> Schema:
    """The schema with every `$ref` replaced by what it names; keys beside a `$ref` win."""
    schema = json_schema()
    definitions = schema.pop("$defs")

    def expand(node: Any) -> Any:
        if isinstance(node, list):
            return [expand(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            named = definitions[node["$ref"].removeprefix("#/$defs/")]
            node = {**named, **{key: value for key, value in node.items() if key != "$ref"}}
        # a mapping is told apart by `oneOf`; where `$ref`s stand in `mapping` is for editors
        return {key: expand(item) for key, item in node.items() if key != "discriminator"}

    return expand(schema)


def tag_of(kinds: list[Schema]) -> str | None:
    """The key by whose constant the kinds of a `oneOf` differ, e.g. `method`."""
    keys = (key for key, node in kinds[0].get("properties", {}).items() if "const" in node)
    return next(keys, None)


def main(path: Path = SCHEMA_FILE) -> None:
    write_text(path, json.dumps(json_schema(), indent=1) + "\n", checksum=False)


if __name__ == "__main__":
    main()
