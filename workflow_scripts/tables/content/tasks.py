"""Every model and variant on every task of the evaluation harness, and on families of tasks.

The number of each task with its interval, and its difference to the reference on the same samples.
Means over the tasks of a family, and over all, weigh tasks alike and take those alone whose number
is a mean of which more is better: shares of right answers and the like, no perplexities. Tasks have
samples of their own, but for a few that share them, see `statistics.scores.correlations`.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from workflow_scripts.tables.content.columns import ALL, MEAN, as_frame
from workflow_scripts.tables.content.formats import Built
from workflow_scripts.tables.content.removals import Masks, ratios_of, read_masks
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.content.task_scores import Task, load_task_scores, tasks_of
from workflow_scripts.tables.content.tasks_text import LESS, MORE, full_sections, short_sections
from workflow_scripts.tables.statistics.differences import holm, verdict
from workflow_scripts.tables.statistics.intervals import Estimate, mean_of_estimates
from workflow_scripts.tables.statistics.scores import (
    Change,
    change,
    change_p,
    correlations,
    estimate_scores,
    mean_change,
    mean_p,
    sample_errors,
)
from workflow_scripts.tables.statistics.verdicts import ALPHA, BETTER, NOT_SHOWN, WORSE

ESTIMATE = ("value", "se", "ci_low", "ci_high")
CHANGE = ("difference", "difference_se", "difference_low", "difference_high")

Row = dict[str, object]
Place = tuple[str, str]  # a model and a variant


def build(source: Source) -> Built:
    frame = load_task_scores(source.tables)
    run = frame.attrs
    masks = read_masks(source.shared, run["models"], run["variants"])
    rows = compare(frame, source.reference, masks)
    told = source.reference, source.options.get("task_limits", {}), run["missing"]
    return Built(
        "Tasks",
        {"tasks": rows},
        [*short_sections(rows, *told)],
        [*full_sections(rows, *told)],
        of_answers=False,
    )


def compare(frame: pd.DataFrame, reference: str, masks: Masks) -> pd.DataFrame:
    """A row for every model, task and variant; then for means over families, and over all tasks.

    p values are corrected over all tasks and variants of a model, those of means over its means.
    """
    tasks = list(tasks_of(frame))
    rows: list[Row] = []
    for model in frame.attrs["models"]:
        places = [(model, variant) for variant in frame.attrs["variants"]]
        of_tasks = [
            _task_row(task, place, reference)
            for task in tasks
            for place in places
            if place in task.values
        ]
        means = [*_means(tasks, of_tasks, places, reference)]
        for family in (of_tasks, means):
            _judge(family)
            rows += family
    for row in rows:
        ratios = ratios_of(masks, row["model"], row["variant"])
        row |= ratios._asdict()
    return as_frame("tasks", rows)


def _task_row(task: Task, place: Place, reference: str) -> Row:
    model, variant = place
    values, other = task.values[place], task.values.get((model, reference))
    row: Row = {
        "model": model, "variant": variant, "family": task.family, "task": task.name,
        "metric": task.metric, "kind": task.kind, "tasks": 1, "samples": len(values),
        "better": MORE if task.higher_is_better else LESS,
        "share": task.is_share,
        **_estimated(estimate_scores(task.kind, values, task.weights)),
    }  # fmt: skip
    if variant != reference and other is not None:
        changes = values - other
        found = change(task.kind, changes[:, np.newaxis], task.weights, task.of_marks)
        row |= _changed(found, change_p(task.kind, changes, task.weights, task.of_marks))
    return row


def _means(
    tasks: Sequence[Task], rows: Sequence[Row], places: Iterable[Place], reference: str
) -> Iterator[Row]:
    """Means of variants that have all tasks of a family, of rows of single tasks."""
    averaged = [task for task in tasks if task.is_averaged]
    families = {ALL: averaged} if averaged else {}
    for task in averaged:
        families.setdefault(task.family, []).append(task)
    found = {(row["model"], row["variant"], row["task"]): row for row in rows}
    for family in [*families][1:] + [*families][:1]:  # over all last
        for place in places:
            if all(place in task.values for task in families[family]):
                members = [found[*place, task.name] for task in families[family]]
                yield _mean_row(family, members, families[family], reference)


def _mean_row(family: str, members: Sequence[Row], tasks: Sequence[Task], reference: str) -> Row:
    model, variant = members[0]["model"], members[0]["variant"]
    scores = [(task.values[model, variant], task.weights) for task in tasks]
    alike = correlations([sample_errors(*one) for one in scores])
    estimates = [Estimate(*(row[name] for name in ESTIMATE)) for row in members]
    row: Row = {
        **{name: members[0][name] for name in ("model", "variant", "kind", "better")},
        "family": family, "task": MEAN, "metric": "", "tasks": len(members),
        "samples": sum(row["samples"] for row in members),
        "share": all(row["share"] for row in members),
        **_estimated(mean_of_estimates(estimates, alike)),
    }  # fmt: skip
    if all("p" in row for row in members):
        changes = [Change(*(row[name] for name in CHANGE), row["samples"]) for row in members]
        others = [task.values[model, reference] for task in tasks]
        moved = [
            sample_errors(values - other, weights)
            for (values, weights), other in zip(scores, others, strict=True)
        ]
        alike = correlations(moved)
        # of a single task its own, which may be of an exact test
        p = members[0]["p"] if len(members) == 1 else mean_p(changes, alike)
        row |= _changed(mean_change(changes, alike), p)
    return row


def _estimated(found: Estimate) -> Row:
    return dict(zip(ESTIMATE, vars(found).values(), strict=True))


def _changed(found: Change, p: float) -> Row:
    bounds = (found.difference, found.se, found.low, found.high)
    return dict(zip(CHANGE, bounds, strict=True)) | {"p": p}


def _judge(rows: Sequence[Row]) -> None:
    """Correct the p values of a family of tests, and say in words what they show."""
    tested = [row for row in rows if "p" in row]
    for row in rows:
        row["verdict"] = ""
    for row, p_holm in zip(
        tested, holm([row["p"] for row in tested]) if tested else (), strict=True
    ):
        row |= {"p_holm": p_holm, "verdict": _verdict(row, p_holm)}


def _verdict(row: Row, p_holm: float) -> str:
    sign = 1 if row["better"] == MORE else -1
    difference, _, *bounds = (sign * row[name] for name in CHANGE)
    if row["share"]:
        found = Change(difference, row["difference_se"], min(bounds), max(bounds), row["samples"])
        return verdict(found, p_holm)
    if p_holm < ALPHA:
        return BETTER if difference > 0 else WORSE
    return NOT_SHOWN
