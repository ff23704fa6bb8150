"""A task of the harness on a model: its number, what each sample adds to it, its samples."""

import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from math import isclose, isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from workflow_scripts.artefacts.task_records import Kind, TaskResult, TaskScore, estimate
from workflow_scripts.config.entry import plain
from workflow_scripts.config.tasks import Task
from workflow_scripts.errors import InputError

if TYPE_CHECKING:
    from lm_eval.api.model import LM
    from lm_eval.tasks.manager import TaskDict

# what the harness seeds Python, numpy, torch and its examples with
PYTHON_SEED, SEED = 0, 1234
# its aggregations that a number of ours stands for, by the names of their functions
KINDS: dict[str, Kind] = {"weighted_perplexity": "perplexity", "bits_per_byte": "bits"}


class Evaluated(NamedTuple):
    """What a job keeps of a task."""

    result: TaskResult
    scores: list[TaskScore]
    samples: list[dict[str, Any]]


def seed_everything() -> None:
    """As the harness does before it loads a task: some shuffle by Python's own generator."""
    random.seed(PYTHON_SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)


def evaluate_task(name: str, task: Task, loaded: "TaskDict", model: "LM") -> Evaluated:
    """Run the entry `name`, which the harness has `loaded`, on a model of the harness's.

    Raises `InputError` where the metric that is asked for is not among those of the task, or is
    none that follows from a score for each sample.
    """
    from lm_eval.evaluator import evaluate

    if sys.modules.get("sklearn", sys) is None:  # see `models`; F1 and correlations need it
        del sys.modules["sklearn"]
    first = next(iter(sorted(loaded["tasks"])))
    if (known := _known_metrics(loaded["tasks"][first])) is not None:
        _metric(name, task.metric, known)  # else it would be refused when all has run
    for one in loaded["tasks"].values():
        _prepare(one, task)
    found = evaluate(
        model,
        loaded,
        limit=task.limit,
        bootstrap_iters=0,  # errors come from the scores of samples
        log_samples=True,
        system_instruction=task.system,
        apply_chat_template=task.chat,
        fewshot_as_multiturn=task.turns,
        confirm_run_unsafe_code=True,
    )
    metric, filtered = _metric(name, task.metric, [*_numbers(found["results"][first])])
    scores, kind = [], _kind(loaded["tasks"][first], metric)
    for subtask, samples in sorted(found["samples"].items()):
        rows = [sample for sample in samples if sample["filter"] == filtered]
        scores += [_score(name, subtask, sample, metric) for sample in rows]
        ours = estimate(kind, *_columns(scores[-len(rows) :]))
        theirs = found["results"][subtask][f"{metric},{filtered}"]
        if not isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-12):
            raise InputError(
                f"tasks.{name}.metric: {metric} of {subtask} does not follow from a score for each "
                "sample; set another metric"
            )
    result = TaskResult(
        task=first if len(loaded["tasks"]) == 1 else task.task or name,
        version=str(found["versions"][first]),
        metric=metric,
        filter=filtered,
        kind=kind,
        higher_is_better=found["higher_is_better"][first].get(metric, True) is not False,
        samples=len(scores),
        value=estimate(kind, *_columns(scores)),
        metrics=_metrics(found["results"]),
    )
    return Evaluated(result, scores, list(_samples(name, found["samples"])))


def _prepare(one: Any, task: Task) -> None:
    """Set on a task of the harness what its own command line would."""
    if one.get_config("num_fewshot") is None:
        one.set_config("num_fewshot", 0)
    if task.few_shot is not None and one.get_config("num_fewshot") != 0:
        one.set_config("num_fewshot", task.few_shot)
    said = plain(task.generation)
    if said and one.get_config("output_type") == "generate_until":
        one.set_config("generation_kwargs", said, update=True)
    one.set_fewshot_seed(SEED)


def _known_metrics(one: Any) -> list[str] | None:
    """What a task will compute, `metric,filter`; None where it has functions of its own for that,
    which may give theirs other names."""
    metrics = [said["metric"] for said in one.get_config("metric_list") or [{"metric": None}]]
    filters = [said["name"] for said in one.get_config("filter_list") or [{"name": "none"}]]
    if not all(isinstance(metric, str) for metric in metrics):
        return None
    return [f"{metric},{name}" for metric in metrics for name in filters]


def _metric(name: str, asked: str | None, found: Sequence[str]) -> tuple[str, str]:
    """The metric and the filter that an entry reports, of those that the harness computes."""
    if asked is None:
        return _parts(found[0])
    fitting = [key for key in found if key == asked or key.partition(",")[0] == asked]
    if not fitting:
        raise InputError(
            f"tasks.{name}.metric: {asked!r} is not computed; there are: {', '.join(sorted(found))}"
        )
    return _parts(fitting[0])


def _parts(key: str) -> tuple[str, str]:
    metric, _, filtered = key.partition(",")
    return metric, filtered


def _kind(one: Any, metric: str) -> Kind:
    aggregation = one.aggregation().get(metric)
    return KINDS.get(getattr(aggregation, "__name__", ""), "mean")


def _score(name: str, subtask: str, sample: Mapping[str, Any], metric: str) -> TaskScore:
    """A sample's part of a sum: a number; a log-likelihood and its words; or a list of verdicts."""
    value, weight = sample[metric], 1.0
    if isinstance(value, tuple):
        value, weight = value
    elif isinstance(value, list):
        value, weight = sum(value), len(value)
    if not isfinite(value):  # as of a model that finds every choice impossible
        raise InputError(
            f"tasks.{name}: {metric} of sample {sample['doc_id']} is {value}, not a number, on "
            "this model; leave the task or the model out of the run"
        )
    return TaskScore(name, subtask, str(sample["doc_id"]), float(value), float(weight))


def _columns(scores: list[TaskScore]) -> tuple[list[float], list[float]]:
    return [score.value for score in scores], [score.weight for score in scores]


def _metrics(results: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """All numbers, by `metric,filter`; of several subtasks by `subtask,metric,filter`."""
    return {
        key if len(results) == 1 else f"{subtask},{key}": float(value)
        for subtask, numbers in sorted(results.items())
        for key, value in sorted(_numbers(numbers).items())
    }


def _numbers(results: Mapping[str, Any]) -> dict[str, Any]:
    """What the harness computed of a task, by `metric,filter`, in its order; no errors."""
    return {k: value for k, value in results.items() if "," in k and "_stderr," not in k}


def _samples(name: str, found: Mapping[str, list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """The harness's own samples, as JSON has them, with the names of entry and task."""
    from lm_eval.utils import handle_non_serializable

    for subtask, samples in sorted(found.items()):
        for sample in samples:
            row = {"task": name, "subtask": subtask, **sample}
            yield json.loads(json.dumps(row, default=handle_non_serializable))
