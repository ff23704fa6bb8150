"""A made-up run of a pair of models, with variants that were trained after pruning."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.tables.sources import mask, write_masks
from workflow_scripts.artefacts.records import Answer, Grade, write_records
from workflow_scripts.artefacts.recovery_records import Measurement, RecoveryRecord, Step
from workflow_scripts.files.atomic import write_json
from workflow_scripts.tables.ways import Way, as_lists

PAIR = {"instruct": "answerer", "think": "reasoner"}
BUDGETS = (6, 24)
PROBLEMS, REPEATS = 60, 2
# what a variant keeps of its right answers: the model that answers at once, the one that thinks
KEPT = {
    "dense": (1.0, 1.0),
    "wanda-50": (0.98, 0.95),
    "magnitude-70": (0.7, 0.3),
    "shortgpt-1": (0.4, 0.5),
    "flap-20": (0.95, 0.55),
    "dense-lora": (1.05, 1.0),
    "wanda-50-lora": (1.0, 0.98),
    "magnitude-70-lora": (0.9, 0.75),
    "shortgpt-1-lora": (0.8, 0.85),
}
RECOVERED = [
    ["dense-lora", "dense", "dense-lora"],
    *([name, name.removesuffix("-lora"), "dense-lora"] for name in [*KEPT][-3:]),
]
REMOVED = {"wanda": 0.5, "magnitude": 0.7, "shortgpt": 0.1667, "flap": 0.2, "dense": 0.0}
FAMILIES = {"dense": "none", "shortgpt": "depth", "flap": "width"}


def way_of(variant: str) -> Way:
    method, *_ = variant.split("-")
    name, recovery = variant.removesuffix("-lora"), "lora" if variant.endswith("-lora") else ""
    after = {"recovery": recovery, "pruned": name} if recovery else {}
    return Way(method, variant, "", FAMILIES.get(method, "unstructured"), **after)


WAYS = {variant: way_of(variant) for variant in KEPT}
OPTIONS: dict[str, Any] = {
    "reference": "dense", "ways": as_lists(WAYS), "pair": PAIR, "recovered": RECOVERED,
    "models": [*PAIR.values()], "variants": [*KEPT], "benchmarks": ["chains"],
}  # fmt: skip


def answers() -> Iterator[tuple[str, str, NDArray]]:
    """Correct answers of each model and variant, of shape (budgets, problems, repeats)."""
    random = np.random.default_rng(0)
    hardness = random.beta(1.2, 1.0, size=PROBLEMS)
    for place, (model, best) in enumerate(zip(PAIR.values(), (0.45, 1.0), strict=True)):
        draws = random.random((len(BUDGETS), PROBLEMS, REPEATS))
        for variant, kept in KEPT.items():
            chances = best * kept[place] * np.array([0.6, 1.0])[:, None] * hardness
            yield model, variant, draws < chances[..., None]


def write_run(results: Path) -> None:
    for model, variant, correct in answers():
        folder = results / model / variant
        grades, given = [], []
        for budget, problem, repeat in np.ndindex(*correct.shape):
            at = (f"p-{problem:02}", repeat, BUDGETS[budget])
            right = bool(correct[budget, problem, repeat])
            grades.append(Grade(*at, str(problem + right), right, "stated"))
            given.append(Answer(*at, 0, at[2], "length", 2, "eos", "1"))
        write_records(folder / "grades/chains.jsonl", grades)
        write_records(folder / "answers/chains.jsonl", given)
        method = variant.split("-")[0]
        removed = [3] if method == "shortgpt" else []
        write_masks(results, {variant: mask(REMOVED[method], removed, method=method)}, model)
        if variant.endswith("-lora"):
            write_json(folder / "recovery.json", losses_of(variant).model_dump(mode="json"))


def losses_of(variant: str) -> RecoveryRecord:
    """A record of 100 steps; all but one variant are measured, and one ended before the last."""
    start = {"shortgpt-1-lora": 1.6, "magnitude-70-lora": 2.2}.get(variant, 0.4)
    noise = np.random.default_rng(len(variant)).normal(0, 0.03, size=100)
    losses = 0.3 + (start - 0.3) * np.exp(-np.arange(100) / 25) + noise
    measured = [(step, 0.35 + (start - 0.3) * np.exp(-step / 25)) for step in range(0, 101, 20)]
    kept = 100
    if variant == "shortgpt-1-lora":
        measured[-1], kept = (100, measured[-2][1] + 0.05), 80
    return RecoveryRecord(
        model_digest="0" * 64,
        trained=1000,
        tokens=5000,
        rows=400,
        cut=0,
        steps=tuple(
            Step(step=step, loss=float(loss), learning_rate=0.001)
            for step, loss in enumerate(losses, 1)
        ),
        validation=()
        if variant == "dense-lora"
        else tuple(Measurement(step=step, loss=float(loss)) for step, loss in measured),
        kept_step=kept,
    )
