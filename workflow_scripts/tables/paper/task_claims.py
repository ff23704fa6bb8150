"""Which claims about tasks hold in a run: each is asked of scores of the same samples.

An answer is a mean over tasks that weigh the same, of a mean over pairs of variants, with its 95 %
interval. Where a run has no task of reasoning, its benchmarks under the largest budget stand in.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_scripts.tables.content.cells import cells_of
from workflow_scripts.tables.content.removals import (
    Masks,
    has_trained_weights,
    nearest,
    ratios_of,
)
from workflow_scripts.tables.content.task_scores import Task
from workflow_scripts.tables.paper.claim_files import (
    Chosen,
    Claim,
    Comparison,
    OfModels,
    OfTexts,
    OfTraining,
    OfVariants,
)
from workflow_scripts.tables.statistics.scores import (
    Change,
    change,
    correlations,
    mean_change,
    sample_errors,
)
from workflow_scripts.tables.statistics.verdicts import (
    CONTRADICTED,
    NOT_TESTED,
    RELEVANT,
    SUPPORTED,
    UNDECIDED,
)
from workflow_scripts.tables.ways import Way

REASONING = "reasoning"
APART = {
    "calibration": "the texts they are calibrated on, one of them the model's own",
    "samples": "the number of their calibration samples",
    "recovery": "the texts they are trained on after pruning, one of them the model's own",
}

Row = dict[str, object]
Pair = tuple[str, str]


class NotTested(Exception):
    """A run lacks what a claim is about; the message says what."""


@dataclass(frozen=True)
class Run:
    """What claims are asked of: the tasks that means are of, and what is known of variants.

    `pair` names the models by `instruct` and `think`, `pairs` those variants that differ in texts
    alone, see `tables.data_pairs`; `trained` has each variant that was trained after pruning with
    the one that it starts from. All may be empty.
    """

    tasks: Sequence[Task]
    models: Sequence[str]
    variants: Sequence[str]
    ways: Mapping[str, Way]
    masks: Masks
    reference: str
    pair: Mapping[str, str]
    pairs: Mapping[str, Sequence[Sequence[str]]]
    trained: Mapping[str, str]

    def chosen(self, wanted: Chosen) -> list[str]:
        """The variants that a claim means. Raises `NotTested` where there are none."""
        found = [
            variant
            for variant in self.variants
            if (way := self.ways[variant]).family != "none"
            and (wanted.families is None or way.family in wanted.families)
            and (wanted.methods is None or way.method in wanted.methods)
        ]
        if not found:
            raise NotTested(f"no variant {wanted} in this run")
        return found


def benchmark_tasks(cells: pd.DataFrame) -> Iterator[Task]:
    """The benchmarks of a run under their largest budget, as tasks of reasoning.

    A problem is a sample, with the mean of its repeats. Variants without that budget are left out.
    """
    found: dict[str, dict[tuple[str, str], NDArray]] = {}
    for benchmark, rows in cells.groupby("benchmark", sort=False, observed=True):
        largest = rows[rows["budget"] == rows["budget"].max()]
        for cell in cells_of(largest):
            values = cell.correct.mean(axis=1)
            found.setdefault(str(benchmark), {})[cell.model, cell.variant] = values
    for name, values in found.items():
        weights = np.ones(len(next(iter(values.values()))))
        yield Task(name, REASONING, "accuracy", "mean", True, weights, values)


def ask(claim: Claim, run: Run) -> Iterator[Row]:
    """The answers of a run, one for each model or, of both models of a pair, one."""
    if isinstance(claim.compares, OfModels):
        places = [tuple(run.pair.values())] if run.pair else [()]
    elif claim.model is not None:
        places = [(run.pair[claim.model],)] if run.pair else [()]
    else:
        places = [(model,) for model in run.models]
    reasons: dict[str, list[str]] = {}
    for models in places:
        try:
            if not models:
                raise NotTested("the run has no pair of models (tables.pair)")
            found, tasks, pairs = _answer(claim, run, models)
        except NotTested as reason:
            reasons.setdefault(str(reason), []).append(", ".join(models))
            continue
        yield {
            "model": ", ".join(models),
            "tasks": len(tasks),
            "pairs": len(pairs),
            "estimate": found.difference,
            "ci_low": found.low,
            "ci_high": found.high,
            "verdict": _verdict(found, claim.small),
            "evidence": f"{'; '.join(pairs)}; on {', '.join(task.name for task in tasks)}",
        }
    for reason, of_models in reasons.items():  # one for all models that it keeps from an answer
        said = {"model": ", ".join(of_models), "verdict": NOT_TESTED, "evidence": reason}
        yield {"tasks": 0, "pairs": 0, **said}


def _verdict(found: Change, small: bool) -> str:
    if small:
        if max(abs(found.low), abs(found.high)) <= RELEVANT:
            return SUPPORTED
        return CONTRADICTED if max(found.low, -found.high) > RELEVANT else UNDECIDED
    if found.low > 0:
        return SUPPORTED
    return CONTRADICTED if found.high < 0 else UNDECIDED


def _answer(claim: Claim, run: Run, models: Sequence[str]) -> tuple[Change, list[Task], list[str]]:
    """The answer, the tasks that it is a mean over, and what was compared on them in words."""
    tasks = [task for task in run.tasks if claim.tasks is None or task.family in claim.tasks]
    if not tasks:
        raise NotTested(f"no task of family {' or '.join(claim.tasks or ())} in this run")
    compared = [_pairs(one, run, models, tasks) for one in (claim.compares, claim.than) if one]
    changes, moved = [], []
    for task in tasks:
        of_pairs = [
            np.stack([_changes(task, pair, run, models) for pair in pairs], axis=1)
            for pairs in compared
        ]
        if len(of_pairs) > 1:
            means = [one.mean(axis=1, keepdims=True) for one in of_pairs]
            of_pairs = [means[0] - means[1]]
        doubly = 2 if len(compared) > 1 or len(models) > 1 else 1
        changes.append(change(task.kind, of_pairs[0], task.weights, task.of_marks, doubly))
        moved.append(sample_errors(of_pairs[0].mean(axis=1), task.weights))
    said = [" / ".join(pair) for pairs in compared for pair in pairs]
    return mean_change(changes, correlations(moved)), tasks, said


def _pairs(
    comparison: Comparison, run: Run, models: Sequence[str], tasks: Sequence[Task]
) -> list[Pair]:
    """Pairs of variants, what is said to be better first; both have all tasks.

    Raises `NotTested` where there are none.
    """
    model = models[0]
    found: list[Pair] = []
    if isinstance(comparison, OfVariants):
        found = _equal(comparison, run, model)
        lacking = "no two of these variants remove about as much"
    elif isinstance(comparison, OfTexts):
        chosen = run.chosen(comparison)
        of_kind = run.pairs.get(comparison.of, ())
        found = [(a, b) for owner, a, b in of_kind if owner == model and {a, b} <= {*chosen}]
        lacking = f"no two variants differ in nothing but {APART[comparison.of]}"
    elif isinstance(comparison, OfTraining):
        chosen = run.chosen(comparison)
        found = [(a, b) for a, b in run.trained.items() if a in chosen and b]
        lacking = "no variant is run both with training after pruning and without"
    else:
        found = [(run.reference, variant) for variant in run.chosen(comparison)]
        lacking = f"{run.reference} is not run"
    whole = [
        pair
        for pair in found
        if all((m, variant) in task.values for task in tasks for m in models for variant in pair)
    ]
    if not whole:
        raise NotTested("results of these variants are missing" if found else lacking)
    return whole


def _equal(comparison: OfVariants, run: Run, model: str) -> list[Pair]:
    """Those that remove about as much, and were trained likewise afterwards or not at all.

    With dynamic ones among them no two recoveries need be the same, see `removals.equal_unused`.
    """
    sides = [run.chosen(comparison.better), run.chosen(comparison.worse)]
    known = [
        variant
        for variant in run.variants
        if (model, variant) in run.masks
        and not math.isnan(getattr(ratios_of(run.masks, model, variant), comparison.at_equal))
    ]
    by_weights = any(run.ways[variant].is_dynamic for side in sides for variant in side)
    trained = {
        variant: has_trained_weights(run.ways[variant], run.masks[model, variant])
        if by_weights
        else run.ways[variant].recovery
        for variant in known
    }
    pairs: list[Pair] = []
    for training in dict.fromkeys(trained.values()):
        one, other = (
            {
                variant: getattr(ratios_of(run.masks, model, variant), comparison.at_equal)
                for variant in side
                if variant in trained and trained[variant] == training
            }
            for side in sides
        )
        pairs += nearest(one, other)
    return pairs


def _changes(task: Task, pair: Pair, run: Run, models: Sequence[str]) -> NDArray:
    """How much more each sample gives the first of two variants; of two models, how much more it
    does so of the one that thinks."""
    first, second = ({model: task.values[model, variant] for model in models} for variant in pair)
    if len(models) == 1:
        return first[models[0]] - second[models[0]]
    think, instruct = run.pair["think"], run.pair["instruct"]
    return (first[think] - second[think]) - (first[instruct] - second[instruct])
