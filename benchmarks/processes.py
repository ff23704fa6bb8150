"""Whole processes, timed and weighed by the operating system."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Cost:
    """What one or several processes took: wall seconds in all, peak resident MiB of the largest."""

    seconds: float
    peak_mib: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.seconds + other.seconds, max(self.peak_mib, other.peak_mib))


def run(command: Sequence[object], variables: Mapping[str, str] | None = None) -> Cost:
    """Run a command in the project's folder, start-up included. Raises where it fails."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT)} | dict(variables or {})
    start = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], cwd=PROJECT, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(seconds, usage.ru_maxrss / 1024)


def stage(module: str, *arguments: object) -> Cost:
    """Run a stage of the workflow, as its rule does."""
    return run([sys.executable, "-m", f"workflow_scripts.{module}", *arguments])
