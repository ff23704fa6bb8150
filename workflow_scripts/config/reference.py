"""Tables of every key of the config, made from the classes, for the documentation.

    python -m workflow_scripts.config.reference

writes docs/configuration-keys.md.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from workflow_scripts.config.messages import allowed
from workflow_scripts.config.schema import Schema, expanded_schema, tag_of
from workflow_scripts.files.atomic import write_text
from workflow_scripts.paths import PROJECT

PAGE = PROJECT / "docs" / "configuration-keys.md"

OPENING = """\
# Every key

NAME is a name of your choice. A key without a default must be there, unless it says "may be left
out". A key that belongs to some methods or kinds only is refused on the others.
[Configuration](configuration.md) explains with examples what the keys are for.
"""
HEAD = "| key | of | allowed | default | meaning |\n|---|---|---|---|---|"


def keys_of(
    schema: Schema, path: str = "", of: str = ""
) -> Iterator[tuple[str, str, Schema, bool]]:
    """Every key below a place: its path, the kind that it belongs to, its schema, if it must be."""
    for kind in schema.get("oneOf", [schema]):
        tag = tag_of([kind])
        named = f"`{tag}: {kind['properties'][tag]['const']}`" if tag else of
        for key, node in kind.get("properties", {}).items():
            place = f"{path}.{key}" if path else key
            if key != tag:
                yield place, named, node, key in kind.get("required", [])
            yield from keys_of(node, place, named)
        if isinstance(kind.get("additionalProperties"), dict):
            yield from keys_of(kind["additionalProperties"], f"{path}.NAME", of)


def page() -> str:
    """The whole page: a table for each section, equal rows of several kinds joined."""
    lines = [OPENING]
    for section, node in expanded_schema()["properties"].items():
        rows: dict[tuple[str, ...], list[str]] = {}
        for place, of, key, must in keys_of({"properties": {section: node}}):
            if place != section:
                row = (f"`{place}`", _cell(allowed(key)), _default(key, must), _cell(_said(key)))
                rows.setdefault(row, []).append(of)
        lines += [f"## {section}\n", _cell(_said(node)) + "\n", *_kinds(node), HEAD]
        for (place, *others), kinds in rows.items():
            of = ", ".join(dict.fromkeys(filter(None, kinds)))
            lines.append("| " + " | ".join([place, of, *others]) + " |")
        lines.append("")
    return "\n".join(lines)


def _kinds(section: Schema) -> Iterator[str]:
    """What the methods are, one line for each."""
    entry = section.get("additionalProperties") or {}
    for kind in entry.get("oneOf", []):
        tag = tag_of([kind])
        yield f"- `{tag}: {kind['properties'][tag]['const']}`: {_said(kind)}"
    if "oneOf" in entry:
        yield ""


def _said(node: Schema) -> str:
    return node.get("description", "")


def _default(node: Schema, must: bool) -> str:
    if "default" not in node:
        return "" if must else "may be left out"
    return f"`{json.dumps(node['default'])}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def main(path: Path = PAGE) -> None:
    write_text(path, page(), checksum=False)


if __name__ == "__main__":
    main()
