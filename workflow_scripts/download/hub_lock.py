"""The lock file of the hub: what was downloaded, by commit and sha256, and that it stays so.

    python -m workflow_scripts.download.hub_lock --forget 'dataset owner/name@main'

The first download of something is recorded; every later one, on any machine that has the lock file,
must be the same bytes. An entry is a text such as `model owner/name@REVISION`, `dataset
owner/name@main` (no revision in the config: the commit that the main branch had at first download
is recorded, and asked for from then on) or `dataset owner/name@REVISION en/a.json.gz` (one file of
a data set). To accept other content an entry is deleted, by this command or by hand.
"""

import argparse
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import yaml
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import write_text
from workflow_scripts.jobs.stage import run_stage

LOCK = Path("config/hub.lock")
HEADER = """\
# What was downloaded from the hub: commits, and the sha256 of every file. Written at first download
# and enforced after it; keep it with the config, under version control. Other content is accepted
# by deleting its entry here, or by python -m workflow_scripts.download.hub_lock --forget 'ENTRY'
"""


class _Locked(BaseModel, strict=True, extra="forbid"):
    """An entry: a commit, None where it is not known, and the sha256 of every file by its name."""

    commit: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None
    files: dict[str, str]


_ENTRIES = TypeAdapter(dict[str, _Locked])


def entry_name(
    repository_type: str, repository: str, revision: str | None, file: str | None = None
) -> str:
    """The name of a download in the lock file; `revision` is the config's, None where it has none.

    `file` is the one file that is downloaded, None where it is a snapshot of the repository.
    """
    name = f"{repository_type} {repository}@{revision or 'main'}"
    return f"{name} {file}" if file else name


def locked_commit(lock: Path | None, entry: str) -> str | None:
    """The commit that was recorded for an entry; None where there is none."""
    return _read(lock).get(entry, {}).get("commit") if lock else None


def enforce(lock: Path | None, entry: str, commit: str | None, files: Mapping[str, str]) -> None:
    """Record a download, or compare it with the record; without a lock file do neither.

    `files` are the sha256 of its files by name; `commit` is None where it is not known. Any number
    of jobs may do this at once. Raises `InputError` where files differ from those recorded, are
    missing or are new.
    """
    if lock is None:
        return
    recorded = _read(lock).get(entry)
    if recorded is None:
        with _alone(lock):
            entries = _read(lock)
            recorded = entries.setdefault(entry, {"commit": commit, "files": dict(files)})
            if recorded["files"] == files:
                _write(lock, entries)
    changes = list(_changes(recorded["files"], files))
    if changes:
        others = f" (and {len(changes) - 1} more of its files)" if changes[1:] else ""
        raise InputError(
            f"hub {entry}: its content has changed: {changes[0]}{others}; {how_to_accept(entry)}"
        )


def how_to_accept(entry: str) -> str:
    """What to do where other content is wanted, in words that end an error line."""
    return (
        "to accept other content: python -m workflow_scripts.download.hub_lock --forget "
        f"'{entry}', and run again"
    )


def forget(lock: Path, entry: str) -> None:
    """Delete an entry. Raises `InputError` that names the entries where there is no such one."""
    with _alone(lock):
        entries = _read(lock)
        if entry not in entries:
            raise InputError(f"{lock}: no entry {entry!r}; there: {', '.join(entries) or 'none'}")
        del entries[entry]
        _write(lock, entries)


def _changes(recorded: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*recorded, *found}):
        if name not in found:
            yield f"{name} is gone, sha256 {recorded[name]} in the lock file"
        elif name not in recorded:
            yield f"{name} is new, sha256 {found[name]}, and not in the lock file"
        elif recorded[name] != found[name]:
            yield f"{name} has sha256 {found[name]}, the lock file says {recorded[name]}"


def _read(lock: Path) -> dict[str, Any]:
    try:
        entries = yaml.safe_load(lock.read_text(encoding="utf-8")) or {}
        _ENTRIES.validate_python(entries)
    except FileNotFoundError:
        return {}
    except ValidationError as error:
        name = (*error.errors()[0]["loc"], "all of it")[0]
        raise InputError(f"{lock}: {name!r} is not a commit and sha256 by file name") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{lock}: damaged, not a lock file ({reason})") from None
    return entries


def _write(lock: Path, entries: Mapping[str, Any]) -> None:
    write_text(lock, HEADER + yaml.safe_dump(dict(entries), width=1000), checksum=False)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Keep other jobs out while the lock file is read and written again."""
    while True:
        with _opened(lock) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # another job may have put a new file in its place while this one waited
            if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                yield
                return


def _opened(lock: Path) -> TextIO:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return lock.open("a", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{lock}: cannot be written ({error.strerror or error})") from None


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lock", type=Path, default=LOCK, help=f"the lock file, {LOCK}")
    parser.add_argument("--forget", required=True, metavar="ENTRY", help="the entry to delete")
    options = parser.parse_args(arguments)
    forget(options.lock, options.forget)


if __name__ == "__main__":
    run_stage(main)
