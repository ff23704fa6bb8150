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
from workflow_scripts.files.temporaries import remove_left_over, temporary_of


def checksum_file(path: Path) -> Path:
    """Where the checksum of a file is."""
    return path.with_name(f".{path.name}.sha256")


def write_checksum(path: Path, written: Path) -> None:
    """Write the checksum of `path`, whose content still is in the file `written`."""
    checksum = checksum_file(path)
    remove_left_over(checksum)
    temporary = temporary_of(checksum)
    try:
        temporary.write_text(f"{file_digest(written)}  {_place(path)}\n", encoding="utf-8")
        os.replace(temporary, checksum)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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
            f"{path}: has changed since it was written: its sha256 is {found}, "
            f"{checksum.name} says {digest!r}; delete {path.name} and start again, it is made anew"
        )
    if not _is_same_place(Path(place).parts, _place(path).parts):
        raise InputError(
            f"{path}: was written as {place}; put it back or delete it and start again, it is made "
            "anew"
        )


def _place(path: Path) -> Path:
    """A path as a checkout that is moved keeps it: from the working directory, else its name."""
    if not path.is_absolute():
        return Path(os.path.normpath(path))
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else Path(path.name)


def _is_same_place(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether one path is the end of the other: they may start from different folders."""
    common = min(len(one), len(other))
    return one[-common:] == other[-common:]
