"""Digests of source modules: editing a stage reruns that stage and no other."""

import ast
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from workflow_scripts.files.digests import files_digest

PACKAGE = Path(__file__).resolve().parents[1]


def source_digest(*modules: str) -> str:
    """sha256 over the code of modules and of all that they import from this package.

    `modules` are dotted names below the package ("grading.grade"). A rule takes the digest as a
    parameter, so that editing a stage reruns that stage and no other. Comments, docstrings and the
    layout of the source are not in it: they change no result. Raises FileNotFoundError for a module
    that does not exist.
    """
    seen: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen[name], imported = _read_source(_source_file(name).read_bytes())
            waiting += [name for name in imported if _source_file(name).exists()]
    return files_digest(seen)


def _source_file(name: str) -> Path:
    path = PACKAGE.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache  # stages share most of their modules
def _read_source(source: bytes) -> tuple[str, list[str]]:
    """The digest of what a source file does, and the names below the package that it may import."""
    tree = ast.parse(source)
    return hashlib.sha256(repr(_essence(tree)).encode()).hexdigest(), _imports(tree)


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
