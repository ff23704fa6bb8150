"""Files written whole or not at all."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from workflow_scripts.errors import InputError
from workflow_scripts.files.checksums import checksum_file, verify_checksum, write_checksum
from workflow_scripts.files.temporaries import remove, remove_left_over, temporary_of


@contextmanager
def written_atomically(path: Path, *, checksum: bool = True) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` when the block ends well.

    The block may create a file or a folder under the temporary name. When it raises, the temporary
    is removed and `path` is left as it was; a system's error that names no file then names `path`.
    What a process left that was killed in such a block goes too, see `temporaries`. A file gets its
    checksum beside it, see `checksums`, unless `checksum` is off: for what leaves the workflow.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_left_over(path)  # first, for it may be as large as what is written now
    temporary = temporary_of(path)
    try:
        yield temporary
        if checksum and temporary.is_file() and not temporary.is_symlink():
            write_checksum(path, temporary)
        else:
            checksum_file(path).unlink(missing_ok=True)
        if path.is_dir() and not path.is_symlink():
            remove(path)  # rename(2) does not replace a folder that has something in it
        os.replace(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        remove(temporary)
        raise
    remove_left_over(path)  # of a job that was to end when this one began, and has ended since


def check_room(folder: Path) -> None:
    """Raise `InputError` where the disk of a folder, made if need be, has no room for a page."""
    probe = folder / f".room.{os.getpid()}"
    try:
        folder.mkdir(exist_ok=True)
        probe.write_bytes(bytes(4096))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(f"{folder}: {error.strerror}; make room and start again") from None
    finally:
        with suppress(OSError):  # a folder that may only be read is none of this check's business
            probe.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, checksum: bool = True) -> None:
    """Write `text` as UTF-8, atomically."""
    with written_atomically(path, checksum=checksum) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any, *, checksum: bool = True) -> None:
    """Write `value` as indented JSON with sorted keys, so that equal values are equal bytes."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    write_text(path, text + "\n", checksum=checksum)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises `InputError` where it is missing, is not JSON or is not what its checksum says.
    """
    verify_checksum(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None
