"""Seals: what a stage wrote, noted beside it, so that whoever reads it notices a change.

    results/reasoner/dense/answers/chains.jsonl
    results/reasoner/dense/answers/.chains.jsonl.sha256

The seal holds the file's sha256 and its path as it was written, as `sha256sum --check` reads them.
A byte that flipped, a file that is cut short or empty and one that was another's are met by the
next stage before it uses them. A file without a seal is taken as it is: it comes from a person.
"""

import os
from pathlib import Path

from workflow_scripts.digests import file_digest
from workflow_scripts.errors import InputError
from workflow_scripts.temporaries import remove_left_over, temporary_of


def seal_of(path: Path) -> Path:
    """Where the seal of a file is."""
    return path.with_name(f".{path.name}.sha256")


def write_seal(path: Path, written: Path) -> None:
    """Seal `path`, whose content still is in the file `written`."""
    seal = seal_of(path)
    remove_left_over(seal)
    temporary = temporary_of(seal)
    try:
        temporary.write_text(f"{file_digest(written)}  {_place(path)}\n", encoding="utf-8")
        os.replace(temporary, seal)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_seal(path: Path) -> None:
    """Raise `InputError` where a file is not what its seal says; not where either is missing."""
    seal = seal_of(path)
    try:
        sealed = seal.read_text(encoding="utf-8", errors="replace")
        found = file_digest(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"{error.filename or path}: {error.strerror or error}") from None
    digest, _, place = sealed.rstrip("\n").partition("  ")
    if found != digest:
        raise InputError(
            f"{path}: has changed since it was written: its sha256 is {found}, {seal.name} says "
            f"{digest!r}; delete {path.name} and start again, it is made anew"
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
