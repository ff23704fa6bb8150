"""A made-up run whose answers have prices: a small model, its masks, answers and what they say."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.tables.sources import mask, named_ways, write_masks
from workflow_scripts.artefacts.records import Answer, Grade, write_records
from workflow_scripts.files.atomic import write_json
from workflow_scripts.models.checkpoints import linears, open_checkpoint
from workflow_scripts.tables.content.cells import FILE, read_cells, write_cells
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.ways import as_lists

SIZES = {"blocks": 6, "hidden": 32, "intermediate": 40, "heads": 4, "kv_heads": 2, "head_dim": 8}
BUDGETS = (4, 8, 16)
PROBLEMS, REPEATS = 12, 2
VARIANTS = ("dense", "wanda-50", "shortgpt-1", "wanda-2-4")
PROMPTS = {f"p-{number:02}": 5 + number for number in range(PROBLEMS)}
RECORD: dict[str, Any] = {
    "settings": {"dtype": "bfloat16", "batch_size": 8},
    "producers": [{"engine": "transformers", "device": "a processor", "dtype": "bfloat16"}],
    "prompt_tokens": {"b": PROMPTS},
    "put_between": {"stop": 1, "eos": 1, "length": 3},
}


def accuracy(variant: str, budget: int) -> float:
    lost = {"wanda-50": 0.25, "shortgpt-1": 0.0, "wanda-2-4": 0.5}.get(variant, 0.0)
    return (1 - lost) * budget / BUDGETS[-1]


def write_run(folder: Path, model: Path, record: Mapping[str, Any] = RECORD) -> Source:
    """A run of model `m` on benchmark `b`, with its cells; no trace is longer than 10 tokens."""
    results, place = folder / "results", folder / "models"
    place.mkdir(parents=True)
    (place / "m").symlink_to(model)
    masked = {
        one.name: {"shape": list(one.shape), "requested": 0.5, "achieved": 0.5}
        for one in linears(open_checkpoint(model))
    }
    masks = {
        "dense": mask(0.0, blocks=6),
        "wanda-50": mask(0.5, linears=masked, blocks=6),
        "shortgpt-1": mask(1 / 6, (1,), blocks=6, exported=700),
        "wanda-2-4": mask(0.5, linears=masked, blocks=6) | {"options": {"pattern": "2:4"}},
    }
    write_masks(results, masks)
    for variant in VARIANTS:
        grades, answers = [], []
        for number, name in enumerate(PROMPTS):
            for repeat in range(REPEATS):
                for budget in BUDGETS:
                    key, trace = (name, repeat, budget), min(budget, 10)
                    right = number < round(PROBLEMS * accuracy(variant, budget))
                    end = "length" if budget <= 10 else "stop"
                    grades.append(Grade(*key, "1", right, "stated"))
                    answers.append(Answer(*key, 0, trace, end, 2 + repeat, "eos", "1"))
        write_records(results / "m" / variant / "grades/b.jsonl", grades)
        write_records(results / "m" / variant / "answers/b.jsonl", answers)
        write_json(results / "m" / variant / "generation.json", record)
    names = {"models": ["m"], "variants": [*VARIANTS], "benchmarks": ["b"]}
    write_cells(folder / "tables" / FILE, read_cells(results, **names))
    options = {"reference": "dense", "ways": as_lists(named_ways(VARIANTS)), **names}
    return Source(results, folder / "tables", options | {"resources": str(place)})
