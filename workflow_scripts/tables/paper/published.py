"""The published numbers of arXiv 2604.25098, under the names that a run has for the same things.

`config/published/` holds them: what the tables print (origin `exact`) and what was read off figures
(origin `digitised`).
"""

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.errors import InputError
from workflow_scripts.paths import CONFIG

FOLDER = CONFIG / "published"
SEEDS = 3  # runs behind every published mean
READING = 0.01  # most that a point which a figure shows only approximately can be off
BENCHMARKS = {"aime": "aime24", "gpqa": "gpqa_diamond", "amc": "amc23", "math": "math500"}
PARTS = {"attn": "attention", "MLP": "mlp"}
METHODS = {"mag": "magnitude", "wanda": "wanda"}
FILES = ("tables_1_to_10", "figure_2_digitised", "figures_4_5_digitised")


@dataclass(frozen=True)
class Published:
    """One published accuracy; `sd` is the population deviation over seeds, NaN where not known.

    `error` is the standard error of the mean: that of the model's and benchmark's pooled spread
    between seeds, since a spread of three runs alone says little, and of the reading of a figure.
    """

    model: str
    variant: str
    benchmark: str
    budget: int
    mean: float
    sd: float
    error: float
    origin: str


def key(model: str, variant: str, benchmark: str, budget: int) -> tuple[str, str, str, int]:
    """What names are compared by: letters and digits alone, in lower case.

    A variant's `uniform` is left out: a uniform allocation is what there is where none is named.
    """
    names = [re.sub("[^a-z0-9]", "", name.lower()) for name in (model, variant, benchmark)]
    return names[0], names[1].replace("uniform", ""), names[2], budget


def read_published(folder: Path) -> dict[tuple[str, str, str, int], Published]:
    """Every published accuracy by its `key`; what a table prints goes before what a figure shows.

    Raises `InputError` where a file is missing or has other columns.
    """
    try:
        tables, curves, parts = (_rows(folder / f"{name}.csv") for name in FILES)
        noise = _noise(tables)
        found = [
            *(one for row in parts for one in _of_parts(row, noise)),
            *(one for row in curves for one in _of_curve(row, noise)),
            *(one for row in tables for one in _of_table(row, noise)),
        ]
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}") from None
    except (KeyError, ValueError) as error:
        raise InputError(f"{folder}: not the published numbers ({error})") from None
    return {key(one.model, one.variant, one.benchmark, one.budget): one for one in found}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _noise(rows: list[dict[str, str]]) -> dict[tuple[str, str], float]:
    """The standard error of a mean of three runs, by model and benchmark, pooled over all arms."""
    squares: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        for name, benchmark in BENCHMARKS.items():
            squares.setdefault((row["model"], benchmark), []).append(float(row[f"{name}_sd"]) ** 2)
    # population variances of n runs times n / (n - 1), over n
    return {
        place: math.sqrt(sum(values) / len(values) / (SEEDS - 1))
        for place, values in squares.items()
    }


def _of_table(row: dict[str, str], noise: dict[tuple[str, str], float]) -> list[Published]:
    allocation = "" if row["alloc"] == "Uniform" else f"-{row['alloc'].lower()}"
    variant = f"{row['method'].lower()}{allocation}-{row['sparsity']}"
    return [
        Published(
            row["model"], variant, benchmark, int(row["budget"]),
            float(row[name]), float(row[f"{name}_sd"]), noise[row["model"], benchmark],
            row["origin"],
        )
        for name, benchmark in BENCHMARKS.items()
    ]  # fmt: skip


def _of_curve(row: dict[str, str], noise: dict[tuple[str, str], float]) -> list[Published]:
    reading = READING / math.sqrt(3) if row["approximate"] == "yes" else 0.0
    error = math.hypot(noise[row["model"], row["benchmark"]], reading)
    return [
        Published(
            row["model"], row["variant"], row["benchmark"], int(row["budget"]),
            float(row["accuracy"]), math.nan, error, row["origin"],
        )
    ]  # fmt: skip


def _of_parts(row: dict[str, str], noise: dict[tuple[str, str], float]) -> list[Published]:
    method, part = row["arm"].split("-")
    variant = f"{METHODS[method]}-{PARTS[part]}-{row['sparsity'].rstrip('%')}"
    benchmark = BENCHMARKS.get(row["bench"].lower(), row["bench"].lower())
    return [
        Published(
            row["model"], variant, benchmark, int(row["budget"]),
            float(row["snapped"]), math.nan, noise[row["model"], benchmark], row["origin"],
        )
    ]  # fmt: skip
