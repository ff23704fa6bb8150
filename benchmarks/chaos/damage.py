"""Damaged inputs: what every stage reads, with a flipped byte, cut short, empty, or another's.

A file is damaged in a finished run, one of its readers is run again, and then the whole run. It
must stop with one line that names the file, or end with the undisturbed bytes; and once the line's
advice is taken, it must end with them.
"""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.experiment import (
    ARGUMENTS,
    BENCHMARK,
    MODEL,
    OTHER,
    Checkout,
    Undisturbed,
    differences,
    errors,
    torn_files,
)

RESULTS = f"results/{MODEL}"
FETCHED = f"resources/models/{MODEL}"


@dataclass(frozen=True)
class Input:
    """A file, something that is made from it, and another file that it may be mistaken for."""

    path: str
    makes: str
    other: str
    without_store: bool = False  # weights are read only where something is to be decoded


WEIGHTS, STATISTICS = f"{FETCHED}/model.safetensors", f"{RESULTS}/statistics/chains.safetensors"
INFLUENCE, CALIBRATION = f"{RESULTS}/influence/chains.json", f"resources/calibration/{MODEL}"
PROBLEMS = f"resources/benchmarks/{BENCHMARK}.jsonl"
ANSWERS, GRADES = f"answers/{BENCHMARK}.jsonl", f"grades/{BENCHMARK}.jsonl"
TRACES, CELLS = f"{RESULTS}/calibration_traces", "results/tables/cells.parquet"
DENSE, SHORT, TRACED = (f"{RESULTS}/{name}" for name in ("dense", "shortgpt-1", "traced-50"))
OWL, LAYERIF = f"{RESULTS}/wanda-owl-50", f"{RESULTS}/wanda-layerif-50"
TABLES, FIGURES, REPORT = "results/tables", "results/figures", "results/report.html"
OTHERS = (
    f"results/{OTHER}/influence/chains.json",
    f"resources/calibration/{OTHER}/chains.safetensors",
)
INPUTS = tuple(
    Input(*row)
    for row in (
        (f"bundled/models/{MODEL}/model.safetensors", f"{FETCHED}/manifest.json",
         f"{OTHER}/model.safetensors"),
        ("bundled/calibration/chains.jsonl", f"{CALIBRATION}/chains.safetensors",
         "bundled/calibration/sums.jsonl"),
        (f"{FETCHED}/manifest.json", f"{CALIBRATION}/chains.safetensors",
         f"resources/models/{OTHER}/manifest.json"),
        (f"{FETCHED}/tokenizer.json", f"{CALIBRATION}/chains.safetensors", f"{OTHER}/config.json"),
        (f"{FETCHED}/config.json", STATISTICS, f"{OTHER}/generation_config.json"),
        (WEIGHTS, STATISTICS, f"{OTHER}/model.safetensors"),
        (WEIGHTS, INFLUENCE, f"{OTHER}/model.safetensors"),
        (WEIGHTS, f"{OWL}/allocation.json", f"{OTHER}/model.safetensors"),
        (WEIGHTS, f"{OWL}/mask.json", f"{OTHER}/model.safetensors"),
        (WEIGHTS, f"{OWL}/{ANSWERS}", f"{OTHER}/model.safetensors", True),
        (f"{CALIBRATION}/chains.safetensors", STATISTICS, OTHERS[1]),
        (f"{TRACES}/sequences/{BENCHMARK}.jsonl", f"{CALIBRATION}/traces.safetensors",
         f"{TRACES}/traces/{BENCHMARK}.jsonl"),
        (STATISTICS, f"{OWL}/mask.json", f"{RESULTS}/statistics/traces.safetensors"),
        (INFLUENCE, f"{LAYERIF}/allocation.json", OTHERS[0]),
        (f"{OWL}/allocation.json", f"{OWL}/mask.json", f"{LAYERIF}/allocation.json"),
        (f"{TRACED}/mask.json", f"{TRACED}/{ANSWERS}", f"{OWL}/mask.json"),
        (f"{TRACED}/mask.safetensors", f"{TRACED}/{ANSWERS}", f"{OWL}/mask.safetensors"),
        (PROBLEMS, f"{DENSE}/{ANSWERS}", "bundled/benchmarks/sums.jsonl"),
        (PROBLEMS, f"{DENSE}/{GRADES}", "bundled/benchmarks/sums.jsonl"),
        (f"{DENSE}/{ANSWERS}", f"{DENSE}/{GRADES}", f"{SHORT}/{ANSWERS}"),
        (f"{DENSE}/{ANSWERS}", CELLS, f"{SHORT}/{ANSWERS}"),
        (f"{DENSE}/{GRADES}", CELLS, f"{SHORT}/{GRADES}"),
        (f"{SHORT}/mask.json", f"{TABLES}/comparison.csv", f"{DENSE}/mask.json"),
        (CELLS, f"{TABLES}/accuracy.csv", f"{DENSE}/{GRADES}"),
        (f"{TABLES}/comparison.csv", f"{TABLES}/published.csv", f"{TABLES}/areas.csv"),
        (f"{TABLES}/accuracy.csv", f"{FIGURES}/scaling_curves/{MODEL}/{BENCHMARK}.svg",
         f"{TABLES}/mean_accuracy.csv"),
        (f"{TABLES}/comparison.csv", f"{FIGURES}/differences/{MODEL}/{BENCHMARK}.svg",
         f"{TABLES}/areas.csv"),
        (f"{TABLES}/parallel.csv", f"{FIGURES}/parallel/{MODEL}/{BENCHMARK}.svg",
         f"{TABLES}/accuracy.csv"),
        (STATISTICS, f"{FIGURES}/block_influence/{MODEL}/chains.svg",
         f"{RESULTS}/statistics/traces.safetensors"),
        (INFLUENCE, f"{FIGURES}/influence/{MODEL}/chains.svg", OTHERS[0]),
        (f"{SHORT}/mask.json", f"{FIGURES}/allocation/{MODEL}.svg", f"{DENSE}/mask.json"),
        (f"{FIGURES}/allocation/{MODEL}.svg", REPORT,
         f"{FIGURES}/block_influence/{MODEL}/chains.svg"),
        (f"{TABLES}/claims.csv", REPORT, f"{TABLES}/areas.csv"),
        (f"{DENSE}/generation.json", REPORT, f"{SHORT}/generation.json"),
    )
)  # fmt: skip


def flip(content: bytes, draw: random.Random) -> bytes:
    """One bit of one byte, and of a text's digits one that leaves another digit."""
    digits = [place for place, byte in enumerate(content) if 0x30 <= byte <= 0x37]
    is_text = all(byte < 0x80 for byte in content[:4096])
    place = draw.choice(digits) if is_text and digits else draw.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGES: dict[str, Callable[[bytes, bytes, random.Random], bytes]] = {
    "flipped": lambda content, _, draw: flip(content, draw),
    "truncated": lambda content, _, draw: content[: draw.randrange(1, len(content))],
    "empty": lambda content, other, draw: b"",
    "swapped": lambda content, other, draw: other,
}


@dataclass(frozen=True)
class Outcome:
    """What became of a damaged input; `line` is what was said, "" where the bytes are the same.

    `faults` is what should not be: other bytes, a traceback, a line that does not name the file.
    """

    damage: str
    line: str
    faults: list[str]


@dataclass(frozen=True)
class Mending:
    """What became of the run once what the lines advise was done; both are empty if all is well."""

    different: list[str]
    said: str


def damage_input(
    checkout: Checkout, one: Input, damage: str, undisturbed: Undisturbed, draw: random.Random
) -> Outcome:
    """Damage a file of a finished run and let one that is made from it be made again."""
    path, folder = checkout.folder / one.path, checkout.folder
    content = path.read_bytes()
    damaged = DAMAGES[damage](content, (folder / one.other).read_bytes(), draw)
    if damaged == content:
        return Outcome(damage, "", ["the damage changes nothing"])
    if path.is_symlink():
        path.unlink()  # what it leads to is damaged as an input of its own
    path.write_bytes(damaged)
    if one.without_store:
        shutil.rmtree(folder / "store", ignore_errors=True)
    finished = checkout.snakemake(one.makes, "--force", *ARGUMENTS)
    if finished.returncode == 0:
        finished = checkout.snakemake(*undisturbed.call)
    said, faults = errors(finished.stdout), []
    if finished.returncode == 0:
        faults += [f"{name}: other bytes" for name in differences(checkout, undisturbed)]
    elif not said:
        faults.append("no error line")
    faults += [line for line in said if Path(one.path).name not in line]
    faults += ["a traceback"] if "Traceback" in finished.stdout else []
    faults += [f"{name}: left behind" for name in torn_files(checkout)]
    return Outcome(damage, said[0] if said else "", faults)


def mend(checkout: Checkout, one: Input, undisturbed: Undisturbed) -> Mending:
    """Do what the lines advise: delete the file, or restore it where it came with the project."""
    path = checkout.folder / one.path
    if one.path.startswith("bundled/"):
        shutil.copyfile(undisturbed.checkout.folder / one.path, path)
    else:
        path.unlink(missing_ok=True)
    if one.path.startswith(FETCHED):
        path.with_name("manifest.json").unlink(missing_ok=True)
    if one.path.endswith("mask.safetensors"):
        path.with_name("mask.json").unlink()
    finished = checkout.snakemake(one.makes, "--force", *ARGUMENTS)
    if finished.returncode == 0:
        finished = checkout.snakemake(*undisturbed.call)
    different = differences(checkout, undisturbed)
    return Mending(different, finished.stdout[-3000:] if finished.returncode else "")


def damage_all(
    checkout: Checkout, undisturbed: Undisturbed, seed: int, inputs: tuple[Input, ...] = INPUTS
) -> Iterator[tuple[Input, list[Outcome], Mending]]:
    """Every input with every damage, one after the other in one checkout."""
    draw = random.Random(seed)
    for one in inputs:
        path = checkout.folder / one.path
        target = os.readlink(path) if path.is_symlink() else None
        content = path.read_bytes()
        outcomes = []
        for damage in DAMAGES:
            outcomes.append(damage_input(checkout, one, damage, undisturbed, draw))
            path.unlink(missing_ok=True)
            if target is not None:
                path.symlink_to(target)
            else:
                path.write_bytes(content)
        damage_input(checkout, one, "flipped", undisturbed, draw)
        yield one, outcomes, mend(checkout, one, undisturbed)
