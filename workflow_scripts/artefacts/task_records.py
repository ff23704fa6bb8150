"""What a job of the stage `tasks` leaves of a variant and a family of tasks.

results/reasoner/wanda-50/tasks/reasoning.json            a number for every task
results/reasoner/wanda-50/tasks/reasoning.scores.jsonl    what every sample adds to it
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, PositiveInt
from pydantic.dataclasses import dataclass

from workflow_scripts.artefacts.json_files import STRICT, read_model_file
from workflow_scripts.artefacts.records import RECORD, read_records, write_records
from workflow_scripts.files.atomic import write_json

Kind = Literal["mean", "perplexity", "bits"]


class TaskResult(BaseModel):
    """The number of one task: `metric` after the harness's `filter`, over its `samples`.

    `task` and `version` are the harness's. `kind` says how `value` follows from the scores of
    samples, see `estimate`; `metrics` holds all that the harness computed, by `metric,filter`.
    """

    model_config = STRICT
    task: str
    version: str
    metric: str
    filter: str
    kind: Kind
    higher_is_better: bool
    samples: PositiveInt
    value: float
    metrics: Mapping[str, float] = {}


class TaskResults(BaseModel):
    """What `{family}.json` says: results by the names of tasks, and where they come from."""

    model_config = STRICT
    tasks: Mapping[str, TaskResult]
    provenance: Mapping[str, Any] = {}


@dataclass(frozen=True, config=RECORD)
class TaskScore:
    """What one sample adds to its task's number, see `estimate`.

    `task` is the entry's name, `subtask` the harness's. The same `task`, `subtask` and `doc` are
    the same sample in every variant of every model.
    """

    task: str
    subtask: str
    doc: str
    value: float
    weight: float = Field(gt=0)


def estimate(kind: Kind, values: Sequence[float], weights: Sequence[float]) -> float:
    """The number of a task from the scores of its samples, (samples,) each.

    - `mean`: Σ value / Σ weight, where a weight is 1, or how many things a sample was scored on
    - `perplexity`: exp(-Σ value / Σ weight), value in nats, weight in words or bytes
    - `bits`: -Σ value / (Σ weight · ln 2), the same in bits
    """
    ratio = math.fsum(values) / math.fsum(weights)
    return {
        "mean": lambda: ratio,
        "perplexity": lambda: math.exp(-ratio),
        "bits": lambda: -ratio / math.log(2),
    }[kind]()


def write_results(path: Path, results: TaskResults) -> None:
    """Write a `{family}.json`, atomically."""
    write_json(path, results.model_dump(mode="json"))


def read_results(path: Path) -> TaskResults:
    """Read a `{family}.json`. Raises `InputError`, naming the key, where it is not one."""
    return read_model_file(path, TaskResults, "task results")


def write_scores(path: Path, scores: Iterable[TaskScore]) -> None:
    """Write a `{family}.scores.jsonl`, atomically."""
    write_records(path, scores)


def read_scores(path: Path) -> list[TaskScore]:
    """Read a `{family}.scores.jsonl`. Raises `InputError`, naming the line, where it is not one."""
    return read_records(path, TaskScore)
