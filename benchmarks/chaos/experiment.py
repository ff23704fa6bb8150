"""The run that is disturbed, and what there is to tell of it afterwards.

A cut of the demo with every kind of stage: statistics, both kinds of uneven allocation, masks, a
calibration set of the model's own traces, generation, the grader with its processes, all tables and
figures. `other` is a second model whose files are there to be mistaken for the first one's.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.workflow.checkout import Checkout, environment, small_checkout

ARGUMENTS = ("--cores", "2", "--configfile", "small.yaml")
MODEL, OTHER, BENCHMARK = "reasoner", "other", "small"
VARIANTS = ("dense", "wanda-owl-50", "wanda-layerif-50", "shortgpt-1", "traced-50")
SECONDS_TO_END = 120.0


@dataclass(frozen=True)
class Undisturbed:
    """A run that nothing happened to: where it is, what it made, how long it took.

    `call` is what snakemake was called with, as it is for the runs that something happens to.
    """

    checkout: Checkout
    made: Mapping[str, bytes]
    seconds: float
    call: tuple[str, ...] = ARGUMENTS


def prepared(
    folder: Path, variants: Sequence[str] = VARIANTS, every: int = 40, **generation: object
) -> Checkout:
    """A checkout with the config of the experiment, nothing run yet."""
    checkout = small_checkout(
        folder,
        run={"variants": list(variants), "benchmarks": [BENCHMARK]},
        models={OTHER: {"source": {"kind": "local", "path": OTHER}, "thinking": "think"}},
        calibration_sets={
            "chains": {"samples": 16, "length": 64},
            "traces": {
                "source": {"kind": "generated", "benchmark": BENCHMARK},
                "samples": 4,
                "length": 32,
                "seed": 0,
            },
        },
        influence_sets={"chains": {"train_samples": 4, "validation_samples": 2, "length": 64}},
        variants={"traced-50": {"method": "wanda", "sparsity": 0.5, "calibration": "traces",
                                "allocation": {"kind": "uniform"}}},
        generation={"budgets": [6, 24], "repeats": 2, "batch_size": 4, **generation},
    )  # fmt: skip
    lines = (folder / "bundled/benchmarks/chains.jsonl").read_text().splitlines()[::every]
    problems = [json.loads(line) for line in lines]
    for problem in problems[::2]:
        problem["kind"] = "math"  # compared in processes of the grader
    text = "".join(json.dumps(problem) + "\n" for problem in problems)
    (folder / f"{BENCHMARK}.jsonl").write_text(text)
    _add_other_model(folder)
    return checkout


def _add_other_model(folder: Path) -> None:
    """The same model with one bit of its weights changed."""
    shutil.copytree(folder / "bundled/models" / MODEL, folder / OTHER)
    weights = folder / OTHER / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)


def run_undisturbed(checkout: Checkout, *targets: str, more: Sequence[str] = ()) -> Undisturbed:
    """Run the whole workflow, or what is asked for, to its end; then make `more` for other uses."""
    start = time.monotonic()
    checkout.run(*targets, *ARGUMENTS)
    seconds = time.monotonic() - start
    if more:
        checkout.run(*more, *ARGUMENTS)
    return Undisturbed(checkout, made(checkout), seconds, (*targets, *ARGUMENTS))


def copied(checkout: Checkout, folder: Path) -> Checkout:
    """A copy as `cp -a` makes it."""
    shutil.copytree(checkout.folder, folder, symlinks=True)
    return Checkout(folder)


def made(checkout: Checkout) -> dict[str, bytes]:
    """The results that must not tell a disturbed run from another, by path: tables and figures,
    and what they come from. The report holds times, and a checkpoint is made only on request.
    """
    return {
        str(path.relative_to(checkout.folder)): path.read_bytes()
        for folder in (f"results/{MODEL}", "results/tables", "results/figures", "resources")
        for path in (checkout.folder / folder).rglob("*")
        if path.is_file()
        and not path.is_symlink()
        and not path.name.startswith(".")
        and "checkpoint" not in path.parts
    }


def differences(checkout: Checkout, undisturbed: Undisturbed) -> list[str]:
    """The results that are not those of the undisturbed run.

    Tables and figures must all be there; what they come from may be missing, for Snakemake makes it
    again only where something needs it.
    """
    found, read = made(checkout), ("results/tables", "results/figures")
    wanted = {n: c for n, c in undisturbed.made.items() if n in found or n.startswith(read)}
    return sorted(name for name in found.keys() | wanted if found.get(name) != wanted.get(name))


def torn_files(checkout: Checkout) -> list[str]:
    """What a job that failed or ended left of files that it had not finished."""
    return sorted(
        str(path.relative_to(checkout.folder))
        for folder in ("results", "resources")
        for path in (checkout.folder / folder).rglob("*.tmp")
    )


def errors(text: str) -> list[str]:
    """The lines in which stages say what is wrong, each once."""
    return list(dict.fromkeys(line for line in text.splitlines() if line.startswith("error: ")))


@contextmanager
def started(checkout: Checkout, *arguments: str, log: Path) -> Iterator[subprocess.Popen]:
    """A snakemake that runs in a process group of its own, as from a terminal of its own."""
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            checkout.command(*arguments),
            cwd=checkout.folder,
            env=environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # a shell starts what is in its background deaf to Ctrl-C, and all below it with it
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def processes_in(checkout: Checkout) -> list[psutil.Process]:
    """Every process that works in a checkout, whoever its parent is now."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            is_there = Path(process.cwd()).is_relative_to(checkout.folder)
            if is_there and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_until_gone(checkout: Checkout) -> tuple[float, list[str]]:
    """Wait for the processes of a run that has ended: seconds, and who is left in the end."""
    start = time.monotonic()
    left = processes_in(checkout)
    while left and time.monotonic() - start < SECONDS_TO_END:
        time.sleep(0.05)
        left = processes_in(checkout)
    return time.monotonic() - start, [" ".join(process.cmdline()[:4]) for process in left]
