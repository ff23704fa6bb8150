"""`kill -9` of any process of a run, at random moments of the whole workflow.

A run is killed several times in a row, each time somewhat later in its work, and then left to end.
Nobody unlocks or cleans up between the calls.
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.chaos.experiment import (
    Checkout,
    Undisturbed,
    copied,
    differences,
    processes_in,
    started,
    torn_files,
    wait_until_gone,
)

WRITER = "job that writes"
KINDS = ("snakemake", "shell", "job", WRITER, "child of a job")


@dataclass(frozen=True)
class Kill:
    """One process that was killed: its kind, what ran, and how long others outlived the run."""

    moment: float
    kind: str
    running: str
    outlived: float
    left: list[str]


@dataclass(frozen=True)
class Round:
    """A run that was killed some times and then ended; empty lists are what should be."""

    kills: list[Kill]
    different: list[str]
    torn: list[str]
    said: str


def kill_rounds(
    base: Checkout,
    undisturbed: Undisturbed,
    scratch: Path,
    seed: int,
    kills: int,
    longest: float,
    in_a_row: int = 5,
) -> Iterator[Round]:
    """Rounds until so many processes have been killed; `longest` bounds a call's seconds."""
    draw, number = random.Random(seed), 0
    while kills > 0:
        number += 1
        checkout = copied(base, scratch / f"kills-{number}")
        done: list[Kill] = []
        while len(done) < min(in_a_row, kills):
            moment = draw.uniform(0.5, longest)
            kill = kill_one(checkout, undisturbed.call, draw, moment, scratch / "kill.log")
            if kill is None:
                break
            done.append(kill)
        kills -= len(done)
        yield ended(checkout, undisturbed, done)
        shutil.rmtree(checkout.folder)


def ended(checkout: Checkout, undisturbed: Undisturbed, kills: list[Kill]) -> Round:
    """Call snakemake once more and compare."""
    finished = checkout.snakemake(*undisturbed.call)
    different = differences(checkout, undisturbed)
    torn = torn_files(checkout)
    is_well = finished.returncode == 0 and not different and not torn
    return Round(kills, different, torn, "" if is_well else finished.stdout[-4000:])


def kill_one(
    checkout: Checkout,
    call: Sequence[str],
    draw: random.Random,
    moment: float,
    log: Path,
    kind: str | None = None,
) -> Kill | None:
    """Start a run and kill one of its processes after `moment` seconds.

    None where the run ended before. Raises RuntimeError where it failed before.
    """
    with started(checkout, *call, log=log) as process:
        start = time.monotonic()
        wanted = kind or draw.choice(KINDS)
        while process.poll() is None and time.monotonic() - start < moment:
            time.sleep(0.02)
        # what is drawn may be rare, as the processes of a grader are, or last for parts of a second
        found = by_kind(process.pid, checkout)
        while process.poll() is None and wanted not in found and not _is_late(start, moment):
            time.sleep(0.01)
            found = by_kind(process.pid, checkout)
        if process.poll() is not None:
            if process.returncode:
                raise RuntimeError(f"ended by itself: {log.read_text(encoding='utf-8')[-4000:]}")
            return None
        kind = wanted if wanted in found else "snakemake"
        victim = draw.choice(found[wanted]).pid if wanted in found else process.pid
        moment = time.monotonic() - start
        running = ", ".join(sorted({stage_of(job) for job in found.get("job", [])})) or "-"
        with suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(victim, signal.SIGKILL)
        process.wait()
    seconds, left = wait_until_gone(checkout)
    return Kill(moment, kind, running, seconds, left)


def _is_late(start: float, moment: float) -> bool:
    return time.monotonic() - start > moment + 10


def by_kind(snakemake: int, checkout: Checkout) -> dict[str, list[psutil.Process]]:
    """The processes of a run by what they are; a job is also one that writes, for as long as it
    has a file that it has not finished.
    """
    found: dict[str, list[psutil.Process]] = {}
    for process in processes_in(checkout):
        with suppress(psutil.Error):
            found.setdefault(_kind(process, snakemake), []).append(process)
    if writing := [job for job in found.get("job", []) if _writes(job)]:
        found[WRITER] = writing
    return found


def _writes(job: psutil.Process) -> bool:
    """Whether a job has a file open under a temporary name, or in a folder that has one."""
    with suppress(psutil.Error):
        return any(".tmp" in Path(file.path).as_posix() for file in job.open_files())
    return False


def _kind(process: psutil.Process, snakemake: int) -> str:
    if process.pid == snakemake:
        return "snakemake"
    if process.name() in ("bash", "sh"):
        return "shell"
    parent = process.parent()
    is_below_shell = parent is not None and parent.name() in ("bash", "sh")
    return "job" if is_below_shell and stage_of(process) != "-" else "child of a job"


def stage_of(process: psutil.Process) -> str:
    """The stage that a process runs, by its command line."""
    with suppress(psutil.Error):
        words = process.cmdline()
        if words[1:2] == ["-m"] and words[2].startswith("workflow_scripts."):
            return words[2].rpartition(".")[2]
    return "-"
