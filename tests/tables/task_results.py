"""A made-up run of a pair of models on tasks of every kind of score."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.tables.sources import mask, write_masks
from workflow_scripts.artefacts.records import Answer, Grade, write_records
from workflow_scripts.artefacts.task_records import (
    TaskResult,
    TaskResults,
    TaskScore,
    estimate,
    write_results,
    write_scores,
)
from workflow_scripts.tables.ways import Way, as_lists

PAIR = {"instruct": "answerer", "think": "reasoner"}


@dataclass(frozen=True)
class Made:
    """How a task's scores are made up: `marks` (right or wrong), `quarters` of a mark, `chances`,
    `instructions` (several a sample), `losses` (log-likelihoods)."""

    family: str
    scores: str
    samples: int
    kind: str = "mean"
    higher_is_better: bool = True
    metric: str = "acc"
    filter: str = "none"


TASKS = {
    "boolq": Made("classification", "marks", 80),
    "hellaswag": Made("classification", "marks", 120, metric="acc_norm"),
    "ifeval": Made("generation", "instructions", 50, metric="inst_level_strict_acc"),
    "truthful": Made("generation", "chances", 60),
    "jee": Made("reasoning", "quarters", 40, metric="exact_match", filter="boxed"),
    "aime": Made("reasoning", "marks", 30, metric="exact_match"),
    "words": Made("language", "losses", 20, "perplexity", False, "word_perplexity"),
    "bytes": Made("language", "losses", 20, "bits", False, "bits_per_byte"),
    "toxic": Made("other", "marks", 40, "mean", False, "toxicity"),
}
FAMILIES = [*dict.fromkeys(made.family for made in TASKS.values())]
# what a variant keeps of its scores by family, of each model
DENSE = (1.0, 1.0)
KEPT: dict[str, Mapping[str, tuple[float, float]]] = {
    "dense": {},
    "wanda-50": {
        "classification": (0.97, 0.95),
        "reasoning": (0.9, 0.8),
        "language": (0.95, 0.9),
        "other": (0.5, 1.0),
    },
    "shortgpt-1": {"classification": (0.9, 0.9), "generation": (0.4, 0.3), "reasoning": (0.2, 0.1)},
    "flap-20": {"classification": (0.5, 0.5), "generation": (0.9, 0.8), "reasoning": (0.8, 0.6)},
    "shortgpt-other-1": {"classification": (0.6, 0.6), "generation": (0.3, 0.3)},
    "shortgpt-1-lora": {"generation": (0.9, 0.9), "reasoning": (0.5, 0.5)},
}
REMOVED = {"dense": 0.0, "wanda-50": 0.5, "flap-20": 0.2}
WAYS = {
    "dense": Way("dense", "dense", "", "none"),
    "wanda-50": Way("wanda", "wanda", "50", "unstructured"),
    "shortgpt-1": Way("shortgpt", "shortgpt", "1", "depth"),
    "flap-20": Way("flap", "flap", "20", "width"),
    "shortgpt-other-1": Way("shortgpt", "shortgpt-other", "1", "depth"),
    "shortgpt-1-lora": Way("shortgpt", "shortgpt-1-lora", "", "depth", "lora", "shortgpt"),
}
# the set of shortgpt-1 is the model's own
PAIRS = {"calibration": [[model, "shortgpt-1", "shortgpt-other-1"] for model in PAIR.values()]}
OPTIONS: dict[str, Any] = {
    "reference": "dense", "ways": as_lists(WAYS), "pair": PAIR,
    "tasks": [[name, made.family] for name, made in TASKS.items()],
    "recovered": [["shortgpt-1-lora", "shortgpt-1", ""]], "data_pairs": PAIRS,
    "models": [*PAIR.values()], "variants": [*KEPT], "benchmarks": ["chains"],
}  # fmt: skip


def scores() -> Iterator[tuple[str, str, str, NDArray, NDArray]]:
    """Model, variant, task, values and weights, both of shape (samples,)."""
    for number, (name, made) in enumerate(TASKS.items()):
        random = np.random.default_rng(number)
        weights = np.ones(made.samples)
        if made.scores == "instructions":
            weights = random.integers(1, 4, made.samples).astype(float)
        elif made.scores == "losses":
            weights = random.integers(50, 200, made.samples).astype(float)
        for place, model in enumerate(PAIR.values()):
            draws = random.random((2, made.samples))
            for variant, kept in KEPT.items():
                share = kept.get(made.family, DENSE)[place]
                yield model, variant, name, _values(made, draws, weights, share), weights


def _values(made: Made, draws: NDArray, weights: NDArray, kept: float) -> NDArray:
    right = (draws[0] < 0.7) & (draws[1] < kept)
    return {
        "marks": right.astype(float),
        "quarters": np.rint(4 * draws[0]) / 4 * (draws[1] < kept),
        "chances": draws[0] * kept,
        "instructions": np.floor((weights + 1) * draws[0] * kept),
        "losses": -weights * (1.5 + draws[0] + (1 - kept) * (0.5 + draws[1])),
    }[made.scores]


def write_run(results: Path) -> None:
    by_variant: dict[tuple[str, str], dict[str, list[tuple[str, NDArray, NDArray]]]] = {}
    for model, variant, name, values, weights in scores():
        of_family = by_variant.setdefault((model, variant), {})
        of_family.setdefault(TASKS[name].family, []).append((name, values, weights))
    for (model, variant), families in by_variant.items():
        for family, tasks in families.items():
            write_family(results / model / variant / "tasks", family, tasks)
        removed = [3] if "shortgpt" in variant else []
        share = REMOVED.get(variant, 0.1667)
        method = variant.split("-")[0]
        write_masks(results, {variant: mask(share, removed, method=method)}, model)
        _write_answers(results / model / variant, sum(map(ord, model + variant)))


def _write_answers(folder: Path, seed: int) -> None:
    """Of a benchmark with budgets, since no run is without one."""
    random, grades, answers = np.random.default_rng(seed), [], []
    for problem, repeat, budget in np.ndindex(20, 2, 2):
        at = (f"p-{problem:02}", repeat, (6, 24)[budget])
        right = bool(random.random() < 0.4 + 0.2 * budget)
        grades.append(Grade(*at, str(problem + right), right, "stated"))
        answers.append(Answer(*at, 0, at[2], "length", 2, "eos", "1"))
    write_records(folder / "grades/chains.jsonl", grades)
    write_records(folder / "answers/chains.jsonl", answers)


def write_family(folder: Path, family: str, tasks: list[tuple[str, NDArray, NDArray]]) -> None:
    found, rows = {}, []
    for name, values, weights in tasks:
        made = TASKS[name]
        value = estimate(made.kind, values, weights)
        found[name] = TaskResult(
            task=f"{name}_of_harness", version="1.0", metric=made.metric, filter=made.filter,
            kind=made.kind, higher_is_better=made.higher_is_better, samples=made.samples,
            value=value, metrics={f"{made.metric},{made.filter}": value},
        )  # fmt: skip
        rows += [
            TaskScore(name, f"{name}_of_harness", str(doc), float(value), float(weight))
            for doc, (value, weight) in enumerate(zip(values, weights, strict=True))
        ]
    write_results(folder / f"{family}.json", TaskResults(tasks=found))
    write_scores(folder / f"{family}.scores.jsonl", rows)
