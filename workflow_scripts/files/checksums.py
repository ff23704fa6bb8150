"""Checksums: what was written, noted beside it, so that whoever reads it notices a change.

    results/reasoner/dense/answers/chains.jsonl
    results/reasoner/dense/answers/.chains.jsonl.sha256

It holds the file's sha256 and its path as it was written, as `sha256sum --check` reads them. A byte
that flipped, a file that is cut short or empty and one that was another's are met by the next stage
before it uses them. A file without a checksum is taken as it is: it comes from a person.
"""

import os
from pathlib import Path

from workflow_scripts.errors import InputError
from workflow_scripts.files.digests import file_digest

# what this process read and found to be as written: sha256 by path from the working directory
verified: dict[str, str] = {}


def checksum_file(path: Path) -> Path:
    """Where the checksum of a file is."""
    return path.with_name(f".{path.name}.sha256")


def checksum_line(path: Path, written: Path) -> str:
    """The content of the checksum of `path`, which still has the name `written`."""
    return f"{file_digest(written)}  {_noted_path(path)}\n"


def noted_digest(path: Path) -> str | None:
    """The sha256 that a file's checksum says; None where it has none."""
    try:
        return checksum_file(path).read_text(encoding="utf-8", errors="replace").split(" ")[0]
    except OSError:
        return None


def verify_checksum(path: Path) -> None:
    """Raise `InputError` where a file is not what its checksum says; one without passes."""
    checksum = checksum_file(path)
    try:
        noted = checksum.read_text(encoding="utf-8", errors="replace")
        found = file_digest(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"{error.filename or path}: {error.strerror or error}") from None
    digest, _, place = noted.rstrip("\n").partition("  ")
    if found != digest:
        raise InputError(
            f"{path}: has changed since it was written: its sha256 is {found}, {checksum.name} "
            f"says {digest!r}; delete {path.name} and start again: it will be made again"
        )
    written, here = Path(place).parts, _noted_path(path).parts
    common = min(len(written), len(here))  # they may start from different folders
    if written[-common:] != here[-common:]:
        raise InputError(
            f"{path}: was written as {place}; put it back, or delete it and start again: it will "
            "be made again"
        )
    verified[str(_noted_path(path))] = digest


def _noted_path(path: Path) -> Path:
    """A path as a checkout that is moved keeps it: from the working directory, else its name."""
    if not path.is_absolute():
        return Path(os.path.normpath(path))
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else Path(path.name)
