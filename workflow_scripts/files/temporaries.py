"""Temporary names of what is being written, and what is left under them by processes that died.

    results/reasoner/wanda-50/.mask.safetensors.4711-93580.tmp

4711 is the process that writes, and 93580 when it started, as the system counts since it did: so
the name says of itself whether its writer still runs here, whatever has got its number since.

What no process of this machine writes goes with the next write of the same path. Its writer may
live on another machine, but Snakemake has one job at a time for a path: where it starts a second
one, it takes the first for lost, whose half must not come in later. On one machine two may write a
path at once on purpose, as jobs do that ask the judge the same; they leave each other alone.
"""

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path


def temporary_of(path: Path) -> Path:
    """The name under which this process writes `path`."""
    return path.with_name(f"{_hidden(path)}.{_sign(os.getpid())}.tmp")


def remove_left_over(path: Path) -> None:
    """Remove what others left of a write of `path` that they will not end.

    As far as it may be removed: it is in nobody's way but that of its room.
    """
    # not by a glob: `.chains.*.tmp` would find those of chains.jsonl too
    name = re.compile(rf"{re.escape(_hidden(path))}\.(\d+(-\d+)?)\.tmp")
    with suppress(OSError):
        for found in list(path.parent.iterdir()):
            match = name.fullmatch(found.name)
            if match and not _is_running(match[1]):
                with suppress(OSError):
                    remove(found)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _hidden(path: Path) -> str:
    return path.name if path.name.startswith(".") else f".{path.name}"


def _sign(process: int) -> str | None:
    """What tells a process from all others; None where none with this number runs here.

    On a system that is not Linux, it is taken to run: what is left there stays.
    """
    if not os.path.exists("/proc/self/stat"):
        return f"{process}-0"
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            state, *rest = file.read().rpartition(b") ")[2].split()
    except OSError:
        return None
    # a process that has ended may be listed for as long as nobody asks how it did
    return None if state in (b"Z", b"X") else f"{process}-{int(rest[18])}"


def _is_running(sign: str) -> bool:
    return _sign(int(sign.partition("-")[0])) == sign
