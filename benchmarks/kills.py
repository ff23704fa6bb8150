"""Kill a run at random moments, start it again, and see what that costs.

    python -m benchmarks.kills --moments 20 --seed 0

A small cut of the demo runs once undisturbed, from built masks to tables. Then, for every moment
(some anywhere in time, the others when so many completions are stored), a fresh copy runs until
then and gets one `kill -9`: of a job, of the shell above it, or of snakemake.
A plain `snakemake` follows as soon as the first has ended and its jobs with it. Its tables, answers
and traces must be those of the undisturbed run, byte for byte, and no finished completion may be
decoded again; what was in the batch of a killed job is, which is `batch_size` requests at most.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.chaos.experiment import copied
from benchmarks.chaos.kills import stage_of
from tests.workflow.checkout import Checkout, environment, small_checkout

TARGETS = ("job", "shell", "snakemake")
ARGUMENTS = ("--cores", "2", "--configfile", "small.yaml")
TABLE = "results/tables/accuracy.csv"  # figures follow from it
BATCH_SIZE = 16
VARIANTS = ("dense", "wanda-50")
GENERATION = {
    "budgets": [6, 12, 24, 36, 48, 60, 72],
    "repeats": 3,
    "batch_size": BATCH_SIZE,
}
SECONDS_TO_END = 60.0


@dataclass(frozen=True)
class Undisturbed:
    """A run that nothing happened to: what it made, its completions, and how long it took."""

    made: dict[str, bytes]
    completions: int
    seconds: float


@dataclass(frozen=True)
class Kill:
    """One kill and its consequences; `stored` completions were there at that moment.

    `outlived` is how long jobs went on after their snakemake had been killed, in seconds.
    """

    moment: float
    target: str
    running: str
    stored: int
    outlived: float
    finished_twice: int
    is_same: bool


def prepared(
    folder: Path,
    every: int,
    variants: Sequence[str] = VARIANTS,
    sections: Mapping[str, object] | None = None,
) -> Checkout:
    """A checkout with its masks built, on each `every`-th problem of the demo; `sections` are more
    of its config.
    """
    run = {"variants": list(variants), "benchmarks": ["small"]}
    checkout = small_checkout(folder, run=run, generation=GENERATION, **(sections or {}))
    problems = (folder / "bundled/benchmarks/chains.jsonl").read_text().splitlines(keepends=True)
    (folder / "small.jsonl").write_text("".join(problems[::every]))
    masks = [f"results/reasoner/{name}/mask.json" for name in variants]
    checkout.run(*masks, "resources/benchmarks/small.jsonl", *ARGUMENTS)
    return checkout


def made(checkout: Checkout) -> dict[str, bytes]:
    """The files that must not tell a killed run from another."""
    results = checkout.folder / "results/reasoner"
    files = [*results.glob("*/*/small.jsonl"), *results.glob("*/generation.json")]
    return checkout.tables() | {str(f.relative_to(results)): f.read_bytes() for f in files}


def run_undisturbed(base: Checkout, folder: Path) -> Undisturbed:
    checkout = copied(base, folder)
    start = time.monotonic()
    checkout.run(TABLE, *ARGUMENTS)
    seconds = time.monotonic() - start
    return Undisturbed(made(checkout), checkout.decoded(), seconds)


def kill_once(
    base: Checkout,
    folder: Path,
    undisturbed: Undisturbed,
    target: str,
    is_time: Callable[[Checkout, float], bool],
) -> Kill:
    """Run a copy, kill `target` once it is time, run again and compare.

    `is_time` is asked with the copy and the seconds since its start. What has no job yet loses its
    snakemake.
    """
    checkout = copied(base, folder)
    start = time.monotonic()
    process = subprocess.Popen(
        checkout.command(TABLE, *ARGUMENTS),
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not is_time(checkout, time.monotonic() - start):
        time.sleep(0.02)
    moment = time.monotonic() - start
    jobs = jobs_of(process.pid) if process.poll() is None else []
    target = target if jobs else "snakemake"
    running = " ".join(sorted({stage_of(job) for job in jobs}))
    stored = checkout.decoded()
    with suppress(ProcessLookupError, psutil.NoSuchProcess):  # it has just ended by itself
        victim = random.Random(moment).choice(jobs) if target != "snakemake" else process
        os.kill(victim.ppid() if target == "shell" else victim.pid, signal.SIGKILL)
    process.wait()
    start = time.monotonic()
    psutil.wait_procs(jobs, timeout=SECONDS_TO_END if target == "snakemake" else 0)
    outlived = time.monotonic() - start
    checkout.run(TABLE, *ARGUMENTS)
    return Kill(
        moment=moment,
        target=target,
        running=running,
        stored=stored,
        outlived=outlived,
        finished_twice=checkout.decoded() - undisturbed.completions,
        is_same=made(checkout) == undisturbed.made,
    )


def jobs_of(snakemake: int) -> list[psutil.Process]:
    """The stages that run below a snakemake."""
    below = psutil.Process(snakemake).children(recursive=True)
    return [process for process in below if stage_of(process) != "-"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=6, help="take every n-th problem")
    parser.add_argument(
        "--by-time", type=float, default=0.3, help="part of the moments that fall anywhere in time"
    )
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as scratch:
        base = prepared(Path(scratch, "base"), arguments.every)
        undisturbed = run_undisturbed(base, Path(scratch, "undisturbed"))
        print(
            f"undisturbed: {undisturbed.seconds:.1f} s, {undisturbed.completions} completions, "
            f"batches of {BATCH_SIZE} in each of 2 jobs\n"
        )
        print("| # | at s | killed | running | stored | outlived s | finished twice | same bytes |")
        print("|--:|--:|:--|:--|--:|--:|--:|:--|", flush=True)
        for number in range(arguments.moments):
            at, count = (
                draw.uniform(0, undisturbed.seconds),
                draw.randrange(undisturbed.completions),
            )
            by_time = draw.random() < arguments.by_time

            def is_time(run: Checkout, seconds: float, at=at, count=count, by_time=by_time) -> bool:
                return seconds >= at if by_time else run.decoded() >= count

            target = TARGETS[number % len(TARGETS)]
            folder = Path(scratch, f"kill-{number}")
            kill = kill_once(base, folder, undisturbed, target, is_time)
            shutil.rmtree(folder)
            print(
                f"| {number + 1} | {kill.moment:.1f} | {kill.target} | {kill.running} | "
                f"{kill.stored} | {kill.outlived:.2f} | {kill.finished_twice} | "
                f"{'yes' if kill.is_same else 'NO'} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
