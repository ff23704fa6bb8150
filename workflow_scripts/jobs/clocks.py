"""Results and sources from the future: files that were written while a clock was ahead.

    python -m workflow_scripts.jobs.clocks [PATH ...]

Snakemake refuses what is made from a file that is newer than now, so nothing goes on until the
clock has caught up. The command gives such files, below the paths too, the time of now, one after
the other in the order of their times, so that what was older than another file still is.
"""

import argparse
import os
import shlex
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from workflow_scripts.errors import InputError
from workflow_scripts.jobs.stage import run_stage

FOLDERS = (Path("resources"), Path("results"))
SECONDS_ALLOWED = 60.0  # file servers and their clients are a little apart


def check_clock(sources: Iterable[Path] = ()) -> None:
    """Raise `InputError` that names the newest file from the future, where there is one.

    Looked at are results, resources and the sources, files of this machine.
    """
    ahead = _from_the_future([*FOLDERS, *sources])
    if not ahead:
        return
    newest, path = ahead[-1]
    others = f", as are {len(ahead) - 1} others" if ahead[1:] else ""
    elsewhere = {p.parent for _, p in ahead if not any(p.is_relative_to(f) for f in FOLDERS)}
    folders = "".join(f" {shlex.quote(str(folder))}" for folder in sorted(elsewhere))
    raise InputError(
        f"{path}: its time is {newest - time.time():.0f} seconds ahead of this machine's clock"
        f"{others}; set the clock right, or where it is: "
        f"python -m workflow_scripts.jobs.clocks{folders}"
    )


def _from_the_future(places: Iterable[Path]) -> list[tuple[float, Path]]:
    latest = time.time() + SECONDS_ALLOWED
    times = {path: moment for place in places for moment, path in _times(place)}
    return sorted((moment, path) for path, moment in times.items() if moment > latest)


def _times(place: Path) -> Iterator[tuple[float, Path]]:
    """The times of a place and of everything below it; what is gone by then is left out."""
    walked = os.walk(place)
    below = (Path(parent, name) for parent, folders, files in walked for name in folders + files)
    for path in (place, *below):
        with suppress(FileNotFoundError):
            yield path.lstat().st_mtime, path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH")
    ahead = _from_the_future([*FOLDERS, *parser.parse_args().paths])
    for _, path in ahead:
        os.utime(path, follow_symlinks=False)
    print(f"{len(ahead)} files were from the future")


if __name__ == "__main__":
    run_stage(main)
