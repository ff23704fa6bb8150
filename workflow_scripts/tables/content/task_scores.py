"""The scores of all samples of a run's tasks as one table, which the tables of tasks are made from.

A row for every model, variant and sample, with the columns `COLUMNS`. `attrs` of the frame say what
the run is to hold (`models`, `variants`), what is known of its `tasks` by name (family, metric,
kind, whether higher is better), and what of it is `missing`: `model/variant: family`, or the task
that a file is without. On disk it is a Parquet file, as `cells.parquet` is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_scripts.artefacts.task_records import (
    Kind,
    TaskResult,
    estimate,
    read_results,
    read_scores,
)
from workflow_scripts.errors import InputError
from workflow_scripts.tables.content.gathered import load_gathered, write_gathered
from workflow_scripts.tables.content.screened_out import dropped
from workflow_scripts.tables.statistics.marks import are_marks, is_share

SAMPLE = ["subtask", "doc"]
COLUMNS = ["model", "variant", "task", *SAMPLE, "value", "weight"]
FILE = "task_scores.parquet"
AGREES = 1e-6  # how far a number may be from that of its scores, as a share: a rounding error
# what must be the same of a task in all variants
SAME = ("task", "version", "metric", "filter", "kind", "higher_is_better")


@dataclass(frozen=True)
class Task:
    """The scores of one task; `values` are by model and variant.

    All arrays have shape (samples,), samples in one order.
    """

    name: str
    family: str
    metric: str
    kind: Kind
    higher_is_better: bool
    weights: NDArray
    values: Mapping[tuple[str, str], NDArray]

    @cached_property
    def is_share(self) -> bool:
        """Whether its number is a share of 1 in every variant."""
        return self.kind == "mean" and all(
            is_share(values, self.weights) for values in self.values.values()
        )

    @cached_property
    def of_marks(self) -> bool:
        """Whether samples have marks, no chances or likelihoods, in every variant."""
        return self.kind == "mean" and all(
            are_marks(values, self.weights) for values in self.values.values()
        )

    @property
    def is_averaged(self) -> bool:
        """Whether it counts in means over tasks: it is a mean, of which more is better."""
        return self.kind == "mean" and self.higher_is_better


def tasks_of(frame: pd.DataFrame) -> Iterator[Task]:
    """The tasks of a run, in its order; those that no variant has are left out."""
    rows = dict(list(frame.groupby("task", sort=False, observed=True)))
    for name, known in frame.attrs["tasks"].items():
        by_variant = dict(list(rows[name].groupby(["model", "variant"], sort=False, observed=True)))
        first = next(iter(by_variant.values()))
        values = {place: members["value"].to_numpy() for place, members in by_variant.items()}
        yield Task(name, **known, weights=first["weight"].to_numpy(), values=values)


def read_task_scores(
    results: Path,
    models: Sequence[str],
    variants: Sequence[str],
    tasks: Sequence[Sequence[str]],
    drops: bool = False,
) -> pd.DataFrame:
    """Gather the scores of tasks: pairs of a name and a family, in the order of the tables.

    What a model's variant has no file of, or a file without, is missing; tasks that a file has
    besides are from before the config was changed, and left out, as are variants that were screened
    out of a run which `drops` some. Raises `InputError` naming file, task and sample where a number
    does not follow from its scores, a sample is there twice, or two variants have other samples,
    other weights or another version of a task.
    """
    tasks = dict(tasks)
    found: list[pd.DataFrame] = []
    missing: list[str] = []
    first: dict[str, tuple[str, TaskResult, pd.DataFrame]] = {}
    out = dropped(results, models, drops)
    for model, variant in product(models, variants):
        if (model, variant) in out:
            continue
        of_variant: dict[str, pd.DataFrame] = {}
        for family in dict.fromkeys(tasks.values()):
            path = results / model / variant / "tasks" / f"{family}.json"
            if not path.exists():
                missing.append(f"{model}/{variant}: {family}")
                continue
            wanted = [name for name, of in tasks.items() if of == family]
            known = read_results(path).tasks
            missing += [f"{model}/{variant}: {name}" for name in wanted if name not in known]
            scores = _read_file(path.with_suffix(".scores.jsonl"))
            for name in (name for name in wanted if name in known):
                rows = _of_task(path, scores[scores["task"] == name], name, known[name])
                here = f"{model}/{variant}"
                other = first.setdefault(name, (here, known[name], rows))
                _check_same(name, other, (here, known[name], rows))
                of_variant[name] = rows.assign(model=model, variant=variant)
        found += [of_variant[name] for name in tasks if name in of_variant]
    frame = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS)
    frame = frame[COLUMNS].astype(
        dict.fromkeys(["model", "variant", "task", "subtask"], "category")
    )
    frame.attrs = {
        "models": list(models),
        "variants": list(variants),
        "tasks": {name: _known(tasks[name], first[name][1]) for name in tasks if name in first},
        "missing": missing,
    }
    return frame


def _known(family: str, result: TaskResult) -> dict[str, object]:
    filtered = "" if result.filter == "none" else f",{result.filter}"
    return {
        "family": family,
        "metric": result.metric + filtered,
        "kind": result.kind,
        "higher_is_better": result.higher_is_better,
    }


def _read_file(path: Path) -> pd.DataFrame:
    columns = ["task", *SAMPLE, "value", "weight"]
    records = read_scores(path)
    frame = pd.DataFrame({name: [getattr(one, name) for one in records] for name in columns})
    twice = frame.duplicated(["task", *SAMPLE])
    if twice.any():
        line = int(twice.to_numpy().argmax())
        row = frame.iloc[line]
        sample = _sample((row["subtask"], row["doc"]))
        raise InputError(f"{path}:{line + 1}: task {row['task']!r}: {sample} is there twice")
    return frame.astype({"value": float, "weight": float})


def _of_task(path: Path, rows: pd.DataFrame, name: str, result: TaskResult) -> pd.DataFrame:
    """The scores of a task in the order of samples, held against what its file says of it."""
    scores = path.with_suffix(".scores.jsonl")
    if len(rows) != result.samples:
        raise InputError(
            f"{scores}: task {name!r}: has {len(rows)} samples, {path.name} says {result.samples}"
        )
    value = estimate(result.kind, rows["value"].to_numpy(), rows["weight"].to_numpy())
    if abs(value - result.value) > AGREES * max(abs(value), 1.0):
        raise InputError(
            f"{scores}: task {name!r}: its scores come to {value:.9g}, {path.name} says "
            f"{result.value:.9g}"
        )
    return rows.sort_values(SAMPLE, ignore_index=True)


def _check_same(
    name: str, one: tuple[str, TaskResult, pd.DataFrame], two: tuple[str, TaskResult, pd.DataFrame]
) -> None:
    """Raise where two variants were not measured alike."""
    (there, first, expected), (here, second, rows) = one, two
    for key in SAME:
        values = getattr(first, key), getattr(second, key)
        if values[0] != values[1]:
            raise InputError(
                f"task {name!r}: {key} is {values[1]!r} in {here} and {values[0]!r} in {there}; "
                "measure both alike"
            )
    samples = [pd.MultiIndex.from_frame(frame[SAMPLE]) for frame in (expected, rows)]
    for (place, has), (other, lacks) in permutations(zip((there, here), samples, strict=True)):
        lacking = has[~has.isin(lacks)]
        if len(lacking):
            said = f"{_sample(lacking[0])} is in {place} and not in {other}"
            raise InputError(f"task {name!r}: {said}")
    differs = expected["weight"].to_numpy() != rows["weight"].to_numpy()
    if differs.any():
        place = int(np.argmax(differs))
        weights = rows["weight"][place], expected["weight"][place]
        raise InputError(
            f"task {name!r}: {_sample(tuple(rows.loc[place, SAMPLE]))} weighs {weights[0]:g} in "
            f"{here} and {weights[1]:g} in {there}"
        )


def _sample(sample: tuple[str, str]) -> str:
    return f"sample {sample[1]!r} of {sample[0]}"


def write_task_scores(path: Path, frame: pd.DataFrame) -> None:
    """Write the scores, atomically and with the same bytes each time."""
    write_gathered(path, frame)


def load_task_scores(folder: Path) -> pd.DataFrame:
    """Read the scores below a folder of tables. Raises `InputError` where there are none."""
    return load_gathered(folder / FILE, "scores", "collect_task_scores", [COLUMNS])
