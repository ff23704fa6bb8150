"""Orders: what the config asks of each job, held against how its outputs were made.

Snakemake notes in `.snakemake/` with which parameters it made a file. Where that folder is gone, or
a file came back from a backup, it keeps what it finds. So every job has one more input, its order:

    .snakemake/asked/build_mask/reasoner/wanda-50/3f2a9c04b1d7

The first line is what is asked, and the name a digest of it. Orders are placed while jobs are
planned: very old where the outputs that exist were made as asked, and otherwise new, with a line
that says what is wrong, so that Snakemake makes them again. As it compares the content of inputs
that are new with that of the last run, this line is never the same twice.
"""

import os
import time
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from workflow_scripts.files.checksums import noted_digest
from workflow_scripts.files.digests import file_digest, value_digest
from workflow_scripts.files.making import Made, Order, read_making

# from the end of a stage until Snakemake has touched what it wrote
NANOSECONDS_OF_ENDING = 60 * 10**9


class Orders:
    """The orders of one snakemake, in `folder`; only one that `is_main` judges what there is."""

    def __init__(self, folder: Path, is_main: bool) -> None:
        self._folder = folder
        self._is_main = is_main
        # by path, digests of what is asked of an output, and of what a file was that is gone
        self._asked: dict[str, str] = {}
        self._missed: dict[str, str | None] = {}
        self._noted = cache(lambda path: noted_digest(Path(path)))

    def place(self, job: str, asked: Mapping[str, str], outputs: Iterable[str]) -> str:
        """Place the order of a job, with a digest for each parameter; its path."""
        order = Order(asked=dict(sorted(asked.items())), outputs=sorted(outputs))
        text = order.model_dump_json() + "\n"
        path = self._folder / job / value_digest(text)[:12]
        fault = self._fault(order) if self._is_main else None
        if fault:
            now = time.time_ns()
            newest = max(_time(output) for output in order.outputs)  # from another machine's clock
            _write(path, f"{text}made again at {now}, as {fault}\n", max(now, newest + 1))
        elif _time(path) != 0 and (self._is_main or not path.exists()):
            _write(path, text, 0)
        return str(path)

    def _fault(self, order: Order) -> str | None:
        """Why the outputs of a job are not what is asked, if so; else their times are put right."""
        asked = value_digest(order.asked)
        self._asked |= dict.fromkeys(order.outputs, asked)
        records = {output: _record(output) for output in order.outputs}
        for output, made in records.items():
            if self._missed.get(output, asked) != asked:
                return f"{output} was another when it was read last"
            if made is None and os.path.lexists(output):
                return f"nothing says how {output} was made"
            if made and (fault := self._fault_of(output, made, order)):
                return fault
        for output, made in records.items():
            if made:
                _restore_time(Path(output), made)
        return None

    def _fault_of(self, output: str, made: Made, order: Order) -> str | None:
        names = sorted(made.asked.keys() | order.asked.keys())
        others = [name for name in names if made.asked.get(name) != order.asked.get(name)]
        if others:
            return f"{output} was made with other {', '.join(others)}"
        if self._noted(output) not in (made.sha256, None):
            return f"{output} is not the one whose making is noted"
        for path, source in made.sources.items():
            found = self._noted(path) or _digest(path)
            if found is None:  # taken for what it was, if that is what is asked
                self._missed[path] = source.asked
                found = source.sha256 if self._asked.get(path, source.asked) == source.asked else ""
            if found != source.sha256:
                return f"{output} was made from another {path}"
        return None


def _record(output: str) -> Made | None:
    """The record of an output; where not even its folder is there, none is looked for."""
    return read_making(Path(output)) if os.path.isdir(os.path.dirname(output) or ".") else None


def _digest(path: str) -> str | None:
    """The sha256 of a file; None where it is gone."""
    return file_digest(Path(path)) if os.path.isfile(path) else None


def _restore_time(path: Path, made: Made) -> None:
    """Give a file that was copied or touched the time when it was made, so that it reruns nothing.

    Unless it is not the file that was made: then its new time is to be noticed.
    """
    moved = abs(_time(path) - made.time) > NANOSECONDS_OF_ENDING
    if moved and path.is_file() and made.sha256 == file_digest(path):
        os.utime(path, ns=(made.time, made.time))


def _time(path: str | Path) -> int:
    """When a file was changed, in nanoseconds; -1 where there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return -1


def _write(path: Path, text: str, nanoseconds: int) -> None:
    """Write an order with its time, whole at once: another snakemake may be placing it too."""
    mine = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mine.write_text(text, encoding="utf-8")
        os.utime(mine, ns=(nanoseconds, nanoseconds))
        os.replace(mine, path)
    except OSError:
        if not path.exists():  # otherwise it serves, in a folder that may only be read
            raise
