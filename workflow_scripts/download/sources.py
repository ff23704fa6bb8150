"""Where a model or a benchmark comes from: the `source` mapping of a config entry."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.errors import InputError
from workflow_scripts.files.bundled import BUNDLED, check_bundled


@dataclass(frozen=True)
class Fields:
    """The keys of one kind of source besides `kind`, each with the JSON type of its value."""

    required: Mapping[str, type]
    optional: Mapping[str, type]


def parse_source(text: str, kinds: Mapping[str, Fields]) -> dict[str, Any]:
    """Read the `--source` flag: a JSON object with a known kind and exactly that kind's keys.

    Raises `InputError` that names the key and what is allowed.
    """
    try:
        source = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"--source: not valid JSON ({error})") from None
    if not isinstance(source, dict):
        raise InputError(
            f"--source: {source!r} is not a mapping such as {{kind: local, path: ...}}"
        )
    kind = source.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise InputError(f"source: kind is {kind!r}; allowed: {', '.join(kinds)}")
    fields = kinds[kind]
    types = {**fields.required, **fields.optional}
    for key, value in source.items():
        if key == "kind":
            continue
        if key not in types:
            allowed = ", ".join(types)
            raise InputError(f"source of kind {kind}: unknown key {key!r}; allowed: {allowed}")
        if not isinstance(value, types[key]) or value in ("", {}):
            wanted = "a mapping" if types[key] is dict else "a text"
            raise InputError(f"source of kind {kind}: {key} is {value!r}, not {wanted}")
    for key in fields.required:
        if key not in source:
            raise InputError(f"source of kind {kind}: key {key!r} is missing")
    return source


def bundled_path(kind: str, name: str, suffix: str = "") -> Path:
    """The path of something that comes with the project, below `bundled/{kind}`, if it is whole."""
    folder = BUNDLED / kind
    there = sorted(p.name.removesuffix(suffix) for p in folder.glob(f"*{suffix}"))
    if name not in there:
        raise InputError(
            f"source of kind bundled: no {kind[:-1]} {name!r}; there are: "
            f"{', '.join(there) or 'none'}"
        )
    return check_bundled(folder / (name + suffix))
