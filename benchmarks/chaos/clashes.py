"""What people do to a run: Ctrl-C, SIGTERM, a second snakemake."""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.experiment import (
    ARGUMENTS,
    Checkout,
    Undisturbed,
    differences,
    errors,
    started,
    torn_files,
    wait_until_gone,
)
from tests.workflow.checkout import jobs_run


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
        while one.poll() is None and not jobs_run(log.read_text(encoding="utf-8")):
            time.sleep(0.05)
        with started(checkout, *second, *ARGUMENTS, log=other) as two:
            two.wait()
        one.wait()
    text = other.read_text()
    faults = []
    if one.returncode:
        faults.append(f"the first failed: {log.read_text(encoding='utf-8')[-2000:]}")
    if "Traceback" in text:
        faults.append(f"the second has a traceback: {text[-2000:]}")
    said = next((line for line in text.splitlines() if "cannot be locked" in line), "")
    if two.returncode and not said and not errors(text):
        faults.append(f"the second does not say why it ended: {text[-2000:]}")
    name = f"{' '.join(second) or 'all'} while {' '.join(first) or 'all'} is made"
    clash = after(checkout, undisturbed, name, said or "made both")
    return Clash(clash.name, clash.said, [*clash.faults, *faults])
