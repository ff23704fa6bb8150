"""Files written whole or not at all.

A file or folder is written under one fixed name beside it and then renamed:

    results/reasoner/wanda-50/.mask.safetensors.tmp

What a job leaves there that is killed goes with the next write of the same path. Snakemake runs one
job at a time for a path, so no two write it at once.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workflow_scripts.errors import InputError
from workflow_scripts.files.checksums import checksum_file, checksum_line, verify_checksum


@contextmanager
def written_atomically(path: Path, *, checksum: bool = True) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` when the block ends well.

    The block may create a file or a folder under the temporary name. When it raises, the temporary
    is removed and `path` is left as it was; a system's error that names no file then names `path`.
    A file gets its checksum beside it, see `checksums`, unless `checksum` is off: for what leaves
    the workflow.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, noted = temporary_of(path), temporary_of(checksum_file(path))
    remove(temporary)
    try:
        yield temporary
        if checksum and temporary.is_file() and not temporary.is_symlink():
            noted.write_text(checksum_line(path, temporary), encoding="utf-8")
            os.replace(noted, checksum_file(path))
        else:
            checksum_file(path).unlink(missing_ok=True)
        if path.is_dir() and not path.is_symlink():
            remove(path)  # rename(2) does not replace a folder that has something in it
        os.replace(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        remove(temporary)
        remove(noted)
        raise


def temporary_of(path: Path) -> Path:
    """The name under which `path` is written."""
    return path.with_name(f".{path.name.removeprefix('.')}.tmp")


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


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
