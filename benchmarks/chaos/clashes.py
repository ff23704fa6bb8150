"""What people and clocks do to a run: Ctrl-C, SIGTERM, a second snakemake, times of other days."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.experiment import (
    ARGUMENTS,
    MODEL,
    Checkout,
    Undisturbed,
    differences,
    errors,
    started,
    torn_files,
    wait_until_gone,
)
from tests.workflow.checkout import environment

DAY = 86_400.0
ADVICE = "python -m workflow_scripts.jobs.clocks"


@dataclass(frozen=True)
class Clash:
    """What happened, what was said of it in the end, and what should not be."""

    name: str
    said: str
    faults: list[str]


def after(checkout: Checkout, undisturbed: Undisturbed, name: str, said: str = "") -> Clash:
    """Call snakemake once more, and compare."""
    finished = checkout.snakemake(*undisturbed.call)
    faults = [f"{path}: other bytes" for path in differences(checkout, undisturbed)]
    faults += [f"{path}: left behind" for path in torn_files(checkout)]
    faults += ["a traceback"] if "Traceback" in finished.stdout else []
    if finished.returncode:
        faults.append(f"the next call failed: {finished.stdout[-2000:]}")
    return Clash(name, said, faults)


def interrupted(
    checkout: Checkout,
    undisturbed: Undisturbed,
    number: signal.Signals,
    whole_group: bool,
    moment: float,
    log: Path,
) -> Clash:
    """A signal to snakemake, or to all of its process group as the terminal sends Ctrl-C."""
    with started(checkout, *undisturbed.call, log=log) as process:
        time.sleep(moment)
        was_over = process.poll() is not None
        with suppress(ProcessLookupError):
            (os.killpg if whole_group else os.kill)(process.pid, number)
        start = time.monotonic()
        process.wait(timeout=300)
        seconds = time.monotonic() - start
    _, left = wait_until_gone(checkout)
    whom = "the process group" if whole_group else "snakemake"
    name = f"{number.name} to {whom} at {moment:.1f} s"
    said = f"ended after {seconds:.1f} s, status {process.returncode}"
    said = "had ended before" if was_over else said
    clash = after(checkout, undisturbed, name, said)
    faults = [*clash.faults, *(f"{who}: still runs" for who in left)]
    faults += [] if process.returncode or was_over else ["went on as if nothing had happened"]
    return Clash(clash.name, clash.said, faults)


def two_at_once(
    checkout: Checkout, undisturbed: Undisturbed, targets: tuple[list[str], list[str]], log: Path
) -> Clash:
    """A second snakemake, for overlapping targets, while the first one runs a job."""
    first, second = targets
    other = log.with_suffix(".second")
    with started(checkout, *first, *ARGUMENTS, log=log) as one:
        while one.poll() is None and "Execute " not in log.read_text():
            time.sleep(0.05)
        with started(checkout, *second, *ARGUMENTS, log=other) as two:
            two.wait()
        one.wait()
    text = other.read_text()
    faults = []
    if one.returncode:
        faults.append(f"the first failed: {log.read_text()[-2000:]}")
    if "Traceback" in text:
        faults.append(f"the second has a traceback: {text[-2000:]}")
    said = next((line for line in text.splitlines() if "cannot be locked" in line), "")
    if two.returncode and not said and not errors(text):
        faults.append(f"the second does not say why it ended: {text[-2000:]}")
    name = f"{' '.join(second) or 'all'} while {' '.join(first) or 'all'} is made"
    clash = after(checkout, undisturbed, name, said or "made both")
    return Clash(clash.name, clash.said, [*clash.faults, *faults])


@dataclass(frozen=True)
class Jump:
    """A clock that was `seconds` wrong when `parts` of a run were written; `lost` are missing."""

    seconds: float
    parts: tuple[str, ...]
    lost: tuple[str, ...] = ()


EVERYTHING = ("results", "resources", "store", ".snakemake")
TO_1970 = -1e9 * 1.7
JUMPS = (
    Jump(DAY, EVERYTHING),
    Jump(TO_1970, EVERYTHING),
    Jump(DAY, EVERYTHING, ("results/tables", f"results/{MODEL}/dense/answers")),
    Jump(TO_1970, EVERYTHING, ("results/tables", f"results/{MODEL}/dense/answers")),
    Jump(DAY, (f"results/{MODEL}/dense",)),
    Jump(TO_1970, ("results/tables",)),
)


def jumped(checkout: Checkout, undisturbed: Undisturbed, jump: Jump) -> Clash:
    """Move the times of a run's files, call snakemake, and do what it advises."""
    for part in jump.lost:
        shutil.rmtree(checkout.folder / part)
    for part in jump.parts:
        for path in [checkout.folder / part, *(checkout.folder / part).rglob("*")]:
            when = path.lstat().st_mtime + jump.seconds
            os.utime(path, (when, when), follow_symlinks=False)
    where = "everything" if jump.parts == EVERYTHING else ", ".join(jump.parts)
    name = f"clock {jump.seconds / DAY:+.0f} days: {where}" + (", half done" if jump.lost else "")
    finished = checkout.snakemake(*undisturbed.call)
    said = next((line for line in finished.stdout.splitlines() if ADVICE in line), "")
    if said:
        command = [sys.executable, *ADVICE.split()[1:]]
        subprocess.run(command, cwd=checkout.folder, env=environment(), check=True)
    clash = after(checkout, undisturbed, name, said)
    unclear = finished.returncode != 0 and not said
    return Clash(name, said, [*clash.faults, *([finished.stdout[-2000:]] if unclear else [])])
