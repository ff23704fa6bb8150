"""Fetched files, held against the manifest that was written beside them when they were fetched."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json
from workflow_scripts.files.digests import file_digest

MANIFEST = "manifest.json"


def fetched_files(folder: Path) -> Mapping[str, str]:
    """sha256 by file name, as a folder's manifest has it; empty where there is no manifest."""
    return read_json(folder / MANIFEST)["files"] if (folder / MANIFEST).exists() else {}


@cache
def check_fetched(path: Path) -> None:
    """Raise `InputError` unless a file is what the manifest beside it says; read once in a process.

    A file that no manifest names is taken as it is: it was not fetched.
    """
    wanted = fetched_files(path.parent).get(path.name)
    if wanted is not None:
        check_digest(path, wanted, path.with_name(MANIFEST))


def check_digest(path: Path, wanted: str, manifest: Path) -> None:
    """Raise `InputError` unless a file has the sha256 that a manifest holds of it."""
    remedy = f"delete it and {manifest} and start again, it is fetched again"
    try:
        found = file_digest(path)
    except FileNotFoundError:
        raise InputError(f"{path}: is missing; delete {manifest} and start again") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; {remedy}") from None
    if found != wanted:
        raise InputError(
            f"{path}: has changed since it was fetched: its sha256 is {found}, {MANIFEST} says "
            f"{wanted}; {remedy}"
        )
