"""A made-up run with variants whose tokens skip sublayers, and static ones beside them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.tables.sources import mask, write_masks
from workflow_scripts.artefacts.mask_records import DynamicRecord
from workflow_scripts.artefacts.records import Answer, Grade, write_records
from workflow_scripts.artefacts.routes import Place, Ran, RouteRecord, write_routes
from workflow_scripts.config.methods.dynamic import DYNAMIC as METHODS
from workflow_scripts.models.routing import PARTS
from workflow_scripts.tables.ways import Way, as_lists

BLOCKS = 6
BUDGETS = (8, 64)
PROBLEMS, REPEATS = 30, 2
SPARED = {"attention": 0.2, "mlp": 0.75}
# what a variant keeps of its right answers under each budget
KEPT = {
    "dense": (1.0, 1.0),
    "wanda-20": (1.0, 0.97),
    "flap-20": (0.9, 0.8),
    "shortgpt-1": (0.7, 0.5),
    "flap-20-lora": (0.95, 0.9),
    "skipgpt-20": (0.95, 0.9),
    "skipgpt-40": (0.6, 0.3),
    "mod-10": (0.9, 0.95),
    "skipgpt-20-lora": (0.97, 0.95),
}
REMOVED = {"wanda-20": 0.2, "flap-20": 0.2, "flap-20-lora": 0.2, "shortgpt-1": 1 / 6}
# asked, and what is skipped of attentions and of MLPs while traces are decoded
SKIPPED = {
    "skipgpt-20": (0.2, (0.3, 0.14)),
    "skipgpt-40": (0.4, (0.55, 0.3)),
    "mod-10": (0.1, (0.22, 0.0)),
    "skipgpt-20-lora": (0.2, (0.3, 0.16)),
}
FAMILIES = {"dense": "none", "shortgpt": "depth", "flap": "width", "wanda": "unstructured"}
# of tokens of traces: how many, and how many times as much they skip
KINDS = {"word": (0.5, 1.3), "digit": (0.3, 0.5), "delimiter": (0.15, 1.0), "special": (0.05, 0.0)}


def way_of(variant: str) -> Way:
    method, level, *_ = [*variant.split("-"), ""]
    family = FAMILIES.get(method, "dynamic")
    recovery = "routers" if family == "dynamic" else ""
    name = method
    if variant.endswith("-lora"):
        recovery, name = "both" if family == "dynamic" else "lora", f"{method}-lora"
    after = {"recovery": recovery, "pruned": method} if recovery else {}
    return Way(method, name, level, family, **after)


WAYS = {variant: way_of(variant) for variant in KEPT}
DYNAMIC = [variant for variant in KEPT if WAYS[variant].is_dynamic]
OPTIONS: dict[str, Any] = {
    "reference": "dense", "ways": as_lists(WAYS), "dynamic": DYNAMIC,
    "models": ["reasoner"], "variants": [*KEPT], "benchmarks": ["chains"],
    "model": "reasoner", "benchmark": "chains", "title": "reasoner on chains: a title",
}  # fmt: skip


def record_of(variant: str) -> dict[str, Any]:
    """What the mask's record of a variant says."""
    method = variant.split("-")[0]
    kind = {"kind": "lora"} if variant.endswith("-lora") else {}
    if variant not in SKIPPED:
        removed = [3] if method == "shortgpt" else []
        record = mask(REMOVED.get(variant, 0.0), removed, blocks=BLOCKS, method=method)
        return record | {"recovery": kind}
    asked, shares = SKIPPED[variant]
    skipped = dict(zip(PARTS, shares, strict=True))
    found = DynamicRecord(
        routing=METHODS[method](method=method, skip=asked).routing(BLOCKS),
        spared=SPARED,
        skipped=asked,
        unused=sum(SPARED[part] * share for part, share in skipped.items()),
    )
    return mask(-0.001, blocks=BLOCKS, method=method, exported=None) | {
        "requested": asked, "removed_of_all": -0.0009, "dynamic": found.model_dump(mode="json"),
        "recovery": kind or {"kind": "routers"},
    }  # fmt: skip


def answers() -> Iterator[tuple[str, list[Grade], list[Answer]]]:
    """Grades and answers of each variant. The first problem's trace is empty."""
    random = np.random.default_rng(0)
    draws = random.random((PROBLEMS, REPEATS))
    for variant, kept in KEPT.items():
        grades, given = [], []
        for problem, repeat, budget in np.ndindex(PROBLEMS, REPEATS, len(BUDGETS)):
            at = (f"p-{problem:02}", repeat, BUDGETS[budget])
            right = bool(draws[problem, repeat] < 0.9 * kept[budget])
            grades.append(Grade(*at, str(problem + right), right, "stated"))
            tokens = 0 if problem == 0 else at[2] - problem % 3
            ran = {}
            if variant in SKIPPED:
                ran["ran"] = ran_of(variant, problem, repeat, 1.2)
                if tokens:
                    ran["trace_ran"] = ran_of(variant, problem, repeat, 1.0)
            finish = "stop" if problem % 3 else "length"
            given.append(Answer(*at, 0, tokens, finish, 2, "eos", "1", **ran))
        yield variant, grades, given


def ran_of(variant: str, problem: int, repeat: int, times: float) -> dict[str, float]:
    """The shares that ran of one trace or answer: the later a problem, the less is skipped."""
    _, shares = SKIPPED[variant]
    factor = times * (1 + 0.1 * (14.5 - problem) / 15 + 0.02 * (repeat - 0.5))
    return {part: 1 - factor * share for part, share in zip(PARTS, shares, strict=True)}


def routes_of(variant: str) -> RouteRecord:
    """What ran where: the middle of the model is skipped most, and more so late in a trace."""
    hill = np.array([0.2, 0.8, 1.6, 1.8, 1.2, 0.4])

    def ran(tokens: int, times: float) -> dict[str, Any]:
        skipped = (np.minimum(times * share * hill, 1.0) for share in SKIPPED[variant][1])
        counts = [np.rint(tokens * (1 - share)).astype(int).tolist() for share in skipped]
        return {"tokens": tokens, **dict(zip(PARTS, counts, strict=True))}

    return RouteRecord(
        digest="0" * 64,
        blocks=BLOCKS,
        traces=Ran(**ran(2000, 1.0)),
        answers=Ran(**ran(100, 1.2)),
        places=tuple(
            Place(first=first, end=first + 4, **ran(200 - 2 * first, 0.7 + first / 100))
            for first in range(0, 64, 4)
        ),
        kinds={kind: Ran(**ran(round(2000 * of), times)) for kind, (of, times) in KINDS.items()},
    )


def write_run(results: Path) -> None:
    for variant, grades, given in answers():
        folder = results / "reasoner" / variant
        write_records(folder / "grades/chains.jsonl", grades)
        write_records(folder / "answers/chains.jsonl", given)
        write_masks(results, {variant: record_of(variant)}, "reasoner")
        if variant in SKIPPED:
            write_routes(folder / "routes/chains.json", routes_of(variant))
