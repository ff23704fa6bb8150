"""Digests of source modules: editing a stage reruns that stage and no other.

What was found in a source file is kept in `__pycache__`, as Python keeps what it compiled: parsing
all of them would be a third of a dry run.
"""

import ast
import hashlib
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from workflow_scripts.files.atomic import written_atomically
from workflow_scripts.files.digests import files_digest

PACKAGE = Path(__file__).resolve().parents[1]
KEPT = "__pycache__/source_digests.json"


class _Module(NamedTuple):
    """What a source file of this content does, and the names below the package it may import."""

    content: str
    digest: str
    imports: list[str]


_MODULES = TypeAdapter(dict[str, _Module])
# a digest says as much about how it is made
_MAKER = Path(__file__).read_bytes()


def source_digest(*modules: str) -> str:
    """sha256 over the code of modules and of all that they import from this package.

    `modules` are dotted names below the package ("grading.grade"). A rule takes the digest as a
    parameter, so that editing a stage reruns that stage and no other. Comments, docstrings and the
    layout of the source are not in it: they change no result. Raises FileNotFoundError for a module
    that does not exist.
    """
    seen: dict[str, str] = {}
    waiting, known, is_new = list(modules), _known(PACKAGE), False
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        source = _source_file(name).read_bytes()
        content = hashlib.sha256(_MAKER + source).hexdigest()
        if name not in known or known[name].content != content:
            known[name], is_new = _read_source(source, content), True
        seen[name] = known[name].digest
        waiting += [name for name in known[name].imports if _source_file(name).exists()]
    if is_new:
        _keep(known)
    return files_digest(seen)


@cache
def _known(package: Path) -> dict[str, _Module]:
    """What is kept of a package's modules, by their names."""
    try:
        return _MODULES.validate_json((package / KEPT).read_bytes())
    except (OSError, ValidationError):
        return {}


def _keep(known: dict[str, _Module]) -> None:
    if not sys.dont_write_bytecode:
        # a folder that may only be read, or another process that does the same
        with suppress(OSError), written_atomically(PACKAGE / KEPT, checksum=False) as temporary:
            temporary.write_bytes(_MODULES.dump_json(known))


def _source_file(name: str) -> Path:
    path = PACKAGE.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _read_source(source: bytes, content: str) -> _Module:
    tree = ast.parse(source)
    digest = hashlib.sha256(repr(_essence(tree)).encode()).hexdigest()
    return _Module(content, digest, _imports(tree))


def _essence(node: Any) -> Any:
    """A syntax tree as nested tuples, without docstrings, those of keys of the config included.

    What a node leaves empty is left out, as Python versions differ in it and in nothing else.
    """
    if isinstance(node, list):
        return tuple(_essence(item) for item in node if not _is_docstring(item))
    if not isinstance(node, ast.AST):
        return node
    fields = ast.iter_fields(node)
    kept = [(name, _essence(value)) for name, value in fields if value not in (None, [])]
    return (type(node).__name__, *kept)


def _is_docstring(node: Any) -> bool:
    """Whether a statement is a text and nothing else."""
    is_constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_constant and isinstance(node.value.value, str)


def _imports(tree: ast.Module) -> list[str]:
    """Names below the package that a module imports, wherever in it the import is."""
    prefix = PACKAGE.name + "."
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            # `from package.wing import module` names a module only in its second half
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
