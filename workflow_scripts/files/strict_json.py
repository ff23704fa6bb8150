"""JSON from people: a key that stands twice is refused; `json` takes the last in silence."""

import json
from typing import Any


class RepeatedKey(ValueError):
    """A key that stands twice in one object."""


def loads(text: str | bytes) -> Any:
    """What a JSON text holds. Raises ValueError where it is none or repeats a key."""
    return json.loads(text, object_pairs_hook=_mapping)


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise RepeatedKey(f"the key {repeated!r} stands twice")
    return found
