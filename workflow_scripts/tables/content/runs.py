"""Two finished runs side by side: what differs in their configs, and their accuracies.

Accuracies are compared where both runs have a variant on a benchmark under a budget. Of the same
problems and repeats, drawn with the same seeds, the difference has an interval, as variants of one
run have.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json
from workflow_scripts.tables.content import cells
from workflow_scripts.tables.content.cells import Cell
from workflow_scripts.tables.content.formats import Section, signed
from workflow_scripts.tables.statistics.differences import paired_difference

# the keys of a config that seeds follow from, beside problem and repeat
SEED_KEYS = ("seed", "seeding", "sweep")
PLACE = ["model", "benchmark", "variant", "budget"]
OF_ONE = ["problems", "repeats", "accuracy"]
COLUMNS = [
    *PLACE, *(f"{which}_{name}" for which in ("first", "second") for name in OF_ONE),
    "difference", "ci_low", "ci_high", "paired",
]  # fmt: skip
PAIRED, LEFT_OUT = "yes", "–"

Design = tuple[list[str], list[int]]


@dataclass(frozen=True)
class FinishedRun:
    """A run's folder: its config, its cells by their places, and each benchmark's `designs`.

    A design is the ids of the problems and the numbers of the repeats.
    """

    name: str
    config: dict[str, Any]
    cells: dict[tuple[str, str, str, int], Cell]
    designs: dict[str, Design]

    @property
    def seeds(self) -> list[Any]:
        return [self.config.get("generation", {}).get(key) for key in SEED_KEYS]


def read_run(folder: Path) -> FinishedRun:
    """Read a run by its folder, `results` or `results/runs/NAME`.

    Raises `InputError` where there is none, or where it has no tables yet.
    """
    config, table = folder / "config.json", folder / "tables" / cells.FILE
    if not folder.is_dir():
        there = sorted(path.parent.name for path in folder.parent.glob("*/config.json"))
        others = f"there are {', '.join(there)}" if there else f"{folder.parent} holds none"
        raise InputError(f"{folder}: there is no such run; {others}")
    for path in (config, table):
        if not path.exists():
            raise InputError(
                f"{folder}: not finished, it has no {path.relative_to(folder)}; run it"
            )
    frame = cells.load_cells(table.parent)
    if missing := frame.attrs["missing"]:
        raise InputError(f"{folder}: not finished, it has no grades of {missing[0]}; run it")
    found = {(c.model, c.benchmark, c.variant, c.budget): c for c in cells.cells_of(frame)}
    designs = {
        str(benchmark): (sorted(rows["id"].unique()), sorted(rows["repeat"].unique()))
        for benchmark, rows in frame.groupby("benchmark", sort=False, observed=True)
    }
    return FinishedRun(folder.resolve().name, read_json(config), found, designs)


def side_by_side(first: FinishedRun, second: FinishedRun) -> pd.DataFrame:
    """A row for every cell of either run: those of the first in its order, then what is new.

    `difference` is the second accuracy less the first. `paired` is yes, or what is not the same;
    it is empty, as the other run's columns are, where only one has the cell.
    """
    places = dict.fromkeys([*first.cells, *second.cells])
    rows = pd.DataFrame([_row(place, first, second) for place in places], columns=COLUMNS)
    whole = [f"{which}_{name}" for which in ("first", "second") for name in OF_ONE[:2]]
    return rows.astype(dict.fromkeys(whole, "Int64"))


def _row(
    place: tuple[str, str, str, int], first: FinishedRun, second: FinishedRun
) -> dict[str, Any]:
    row = dict(zip(PLACE, place, strict=True)) | {"paired": ""}
    cells_there = [run.cells.get(place) for run in (first, second)]
    for which, cell in zip(("first", "second"), cells_there, strict=True):
        if cell is not None:
            problems, repeats = cell.correct.shape
            row |= {f"{which}_problems": problems, f"{which}_repeats": repeats}
            row |= {f"{which}_accuracy": cell.marks.mean()}
    one, two = cells_there
    if one is None or two is None:
        return row
    row |= {"difference": two.marks.mean() - one.marks.mean()}
    row |= {"paired": _what_is_paired(place[1], first, second)}
    if row["paired"] == PAIRED:
        found = paired_difference(two.marks, one.marks)
        row |= {"ci_low": found.low, "ci_high": found.high}
    return row


def _what_is_paired(benchmark: str, first: FinishedRun, second: FinishedRun) -> str:
    """Whether answers are to the same problems and repeats with the same seeds; else what is not.

    Seeds are derived from problem, repeat and the config.
    """
    (problems, repeats), (others, other_repeats) = (r.designs[benchmark] for r in (first, second))
    same = {
        "problems": problems == others,
        "repeats": repeats == other_repeats,
        "seeds": first.seeds == second.seeds,
    }
    lacking = [name for name, is_same in same.items() if not is_same]
    return f"no: other {' and '.join(lacking)}" if lacking else PAIRED


def config_differences(first: FinishedRun, second: FinishedRun) -> pd.DataFrame:
    """The keys that two configs differ in, with both values; the runs' names are left out."""
    rows = [row for row in _differences(first.config, second.config) if row[0] != "run.name"]
    return pd.DataFrame(rows, columns=["key", f"in {first.name}", f"in {second.name}"])


def _differences(one: Any, two: Any, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Where two values differ, by the path of the keys, and both as JSON."""
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        for name in sorted(one.keys() | two.keys()):
            below = f"{path}.{name}" if path else str(name)
            yield from _differences(one.get(name), two.get(name), below)
    elif one != two:  # no value of a config is None
        texts = (LEFT_OUT if v is None else json.dumps(v, ensure_ascii=False) for v in (one, two))
        yield path, *texts


def sections(first: FinishedRun, second: FinishedRun, rows: pd.DataFrame) -> Iterator[Section]:
    """What differs in the configs, and a table for every model and benchmark."""
    differs = config_differences(first, second)
    names = f"{first.name} and {second.name}"
    said = f"keys that differ between {names}, with all defaults."
    if differs.empty:
        said = f"those of {names} are the same."
    yield Section("Configs", said, differs, frozenset(differs.columns))
    for place, members in rows.groupby(["model", "benchmark"], sort=False):
        texts = pd.DataFrame(
            {
                "variant": members["variant"],
                "budget": members["budget"].map(str),
                f"in {first.name}": members["first_accuracy"].map(_accuracy),
                f"in {second.name}": members["second_accuracy"].map(_accuracy),
                "difference": [_difference(row) for row in members.itertuples()],
                "paired": members["paired"],
            }
        )
        caption = (
            f"accuracy in {names}, and the second less the first: with its 95 % interval where "
            "both answered the same problems and repeats with the same seeds. Intervals are not "
            "corrected for their number."
        )
        yield Section(" on ".join(map(str, place)), caption, texts, frozenset({"paired"}))


def _accuracy(value: float) -> str:
    return LEFT_OUT if math.isnan(value) else f"{value:.3f}"


def _difference(row: Any) -> str:
    if math.isnan(row.difference):
        return ""
    text = signed(row.difference, 3)
    if math.isnan(row.ci_low):
        return text
    return f"{text} ({signed(row.ci_low, 3)} to {signed(row.ci_high, 3)})"
