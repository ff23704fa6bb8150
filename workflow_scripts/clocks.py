"""Results from the future: files that were written while a clock was ahead.

    python -m workflow_scripts.clocks

Snakemake refuses what is made from a file that is newer than now, so nothing goes on until the
clock has caught up. The command gives such files the time of now, one after the other in the order
of their times, so that what was older than another file still is.
"""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from workflow_scripts.errors import InputError, run_stage

FOLDERS = (Path("resources"), Path("results"))
SECONDS_ALLOWED = 60.0  # file servers and their clients are a little apart


def check_clock(folders: Sequence[Path] = FOLDERS) -> None:
    """Raise `InputError` that names the newest file from the future, where there is one."""
    ahead = _from_the_future(folders)
    if not ahead:
        return
    newest, path = ahead[-1]
    others = f", as are {len(ahead) - 1} others" if ahead[1:] else ""
    raise InputError(
        f"{path}: its time is {newest - time.time():.0f} seconds ahead of this machine's clock"
        f"{others}; set the clock right, or where it is: python -m workflow_scripts.clocks"
    )


def _from_the_future(folders: Sequence[Path]) -> list[tuple[float, Path]]:
    latest = time.time() + SECONDS_ALLOWED
    return sorted(entry for folder in folders for entry in _times(folder) if entry[0] > latest)


def _times(folder: Path) -> Iterator[tuple[float, Path]]:
    """The time of everything below a folder; what is gone by then is left out."""
    for parent, _, names in os.walk(folder):
        for path in (Path(parent), *(Path(parent, name) for name in names)):
            try:
                yield path.lstat().st_mtime, path
            except FileNotFoundError:
                continue


def main() -> None:
    ahead = _from_the_future(FOLDERS)
    for _, path in ahead:
        os.utime(path, follow_symlinks=False)
    print(f"{len(ahead)} files were from the future")


if __name__ == "__main__":
    run_stage(main)
