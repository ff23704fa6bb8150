"""Content digests of files, folders of files, values and source modules."""

import ast
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def value_digest(value: Any) -> str:
    """sha256 of a JSON value, as hex; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def files_digest(digests: Mapping[str, str]) -> str:
    """One digest for a set of files, from their relative names and sha256 digests."""
    return value_digest(dict(digests))


def source_digest(*modules: str) -> str:
    """sha256 over the source of modules and of all that they import from this package.

    `modules` are dotted names below the package ("grading.grade"). A rule takes the digest as a
    parameter, so that editing a stage reruns that stage and no other. Raises FileNotFoundError for
    a module that does not exist.
    """
    seen: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        path = _source_file(name)
        source = path.read_bytes()
        seen[name] = hashlib.sha256(source).hexdigest()
        waiting += _imports(source)
    return files_digest(seen)


def _source_file(name: str) -> Path:
    path = PACKAGE.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imports(source: bytes) -> list[str]:
    """Names below the package that a source file imports, wherever in it the import stands."""
    prefix = PACKAGE.name + "."
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            # `from package.room import module` names a module only in its second half
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    below = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    return [name for name in below if _source_file(name).exists()]
