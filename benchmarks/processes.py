"""Whole processes, timed and weighed by the operating system.

Linux counts what the starting process has in memory as the started one's peak. So this module is
run as a program of its own, a few MiB large, that starts the process to be weighed and reports.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from workflow_scripts.jobs.environment import prepare
from workflow_scripts.paths import PROJECT


@dataclass(frozen=True)
class Cost:
    """What one or several processes took: wall seconds and those of all processors' work in all,
    peak resident MiB of the largest.
    """

    seconds: float
    processor: float
    peak_mib: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.seconds + other.seconds,
            self.processor + other.processor,
            max(self.peak_mib, other.peak_mib),
        )


def run(
    command: Sequence[object], variables: Mapping[str, str] | None = None, folder: Path = PROJECT
) -> Cost:
    """Run a command in a folder, start-up included. Raises where it fails."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT)} | dict(variables or {})
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as report:
        weigher = [sys.executable, "-m", "benchmarks.processes", report.name]
        subprocess.run([*weigher, *map(str, command)], cwd=folder, env=environment, check=True)
        return Cost(**json.load(report))


def weigh(report: str, command: Sequence[str]) -> int:
    """Run a command, write its cost as JSON to the file `report` and return its exit code."""
    start = time.monotonic()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    worked = usage.ru_utime + usage.ru_stime
    cost = Cost(time.monotonic() - start, worked, usage.ru_maxrss / 1024)
    Path(report).write_text(json.dumps(asdict(cost)), encoding="utf-8")
    return os.waitstatus_to_exitcode(status)


def stage(module: str, *arguments: object, folder: Path = PROJECT) -> Cost:
    """Run a stage of the workflow in a folder, as its rule does."""
    variables = dict(os.environ)
    prepare(variables, PROJECT)
    return run([sys.executable, "-m", f"workflow_scripts.{module}", *arguments], variables, folder)


if __name__ == "__main__":
    sys.exit(weigh(sys.argv[1], sys.argv[2:]))
