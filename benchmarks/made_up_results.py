"""A made-up run of the paper's size, in the results' own layout, for tables, figures and report.

    python -m benchmarks.made_up_results --output FOLDER [--repeats 3] [--build]

2 models × 23 variants × 4 benchmarks × 5 budgets: the dense model, magnitude and Wanda with three
allocations at 10 and 20 %, attention or MLP alone, and ShortGPT. Nothing is generated: answers are
drawn from accuracies in the neighbourhood of the published ones. It makes the same files each time.
With --build it then makes all tables, figures and the report in one process, and says how long that
took.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from workflow_scripts.files.atomic import write_json, write_text
from workflow_scripts.tables import everything
from workflow_scripts.tables.ways import Way, as_lists

BUDGETS = (512, 1024, 2048, 4096, 8192)
BENCHMARKS = {"aime24": 30, "gpqa_diamond": 198, "amc23": 40, "math500": 500}
# blocks, and accuracy of the dense model by benchmark under the largest budget
MODELS = {
    "s1.1-7B": (28, (0.17, 0.39, 0.55, 0.81)),
    "Qwen3-8B": (36, (0.6, 0.58, 0.9, 0.95)),
}
UNSTRUCTURED = [
    f"{method}{allocation}-{level}"
    for method in ("magnitude", "wanda")
    for allocation in ("", "-owl", "-layerif", "-attention", "-mlp")
    for level in (10, 20)
]
# of all linear weights, those of the parts that a variant prunes
SHARES = {("self_attn",): 0.25, ("mlp",): 0.75, ("self_attn", "mlp"): 1.0}
PARAMETERS = 8_000_000_000
IN_BLOCKS = 0.86  # of them
VARIANTS = ("dense", *UNSTRUCTURED, "shortgpt-1", "shortgpt-2")


def write_run(folder: Path, repeats: int = 3) -> None:
    """Write masks, statistics, influence scores, grades and answers below `folder`."""
    for number, (model, (blocks, accuracies)) in enumerate(MODELS.items()):
        random = np.random.default_rng([number, repeats])
        _write_statistics(folder / model, blocks, random)
        hardness = {
            name: random.beta(2 * p, 2 * (1 - p), size=BENCHMARKS[name])
            for name, p in zip(BENCHMARKS, accuracies, strict=True)
        }
        for variant in VARIANTS:
            _write_mask(folder / model / variant / "mask.json", variant, blocks, random)
            for benchmark, of_problems in hardness.items():
                correct = _draw(variant, of_problems, repeats, random)
                _write_answers(folder / model / variant, benchmark, correct, random)


def _draw(variant: str, of_problems: NDArray, repeats: int, random: np.random.Generator) -> NDArray:
    """Correct answers, shape (budgets, problems, repeats)."""
    kept = {"dense": 1.0, "shortgpt-1": 0.8, "shortgpt-2": 0.55}.get(
        variant, 0.97 if variant.endswith("10") else 0.93
    )
    growth = np.linspace(0.55, 1, len(BUDGETS))
    chances = kept * growth[:, None] * of_problems
    return random.random((*chances.shape, repeats)) < chances[..., None]


def _write_answers(
    folder: Path, benchmark: str, correct: NDArray, random: np.random.Generator
) -> None:
    lengths = random.lognormal(7.6, 0.8, size=correct.shape[1:]).astype(int) + 20
    grades, answers = [], []
    for identity, repeat, number in np.ndindex(*correct.shape[1:], correct.shape[0]):
        budget, right = BUDGETS[number], bool(correct[number, identity, repeat])
        at = {"id": f"{benchmark}-{identity:03}", "repeat": repeat, "budget": budget}
        extracted = "42" if right else str((identity + repeat) % 4)
        grades.append(at | {"extracted": extracted, "correct": right, "reason": "stated"})
        length = int(lengths[identity, repeat])
        answers.append(
            at
            | {
                "seed": 7 * identity + repeat,
                "trace_tokens": min(budget, length),
                "trace_finish": "length" if length > budget else "stop",
                "answer_tokens": 120 + identity % 40,
                "answer_finish": "eos",
                "text": f"The answer is \\boxed{{{extracted}}}.",
            }
        )
    for name, rows in (("grades", grades), ("answers", answers)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        write_text(folder / name / f"{benchmark}.jsonl", text)


def _write_mask(path: Path, variant: str, blocks: int, random: np.random.Generator) -> None:
    removed = {"shortgpt-1": [16], "shortgpt-2": [16, 17]}.get(variant, [])
    share = 0.0 if removed or variant == "dense" else int(variant[-2:]) / 100
    parts = {"attention": ("self_attn",), "mlp": ("mlp",)}.get(
        variant.split("-")[1] if variant.count("-") == 2 else "", ("self_attn", "mlp")
    )
    uneven = "owl" in variant or "layerif" in variant
    linears = {}
    for block in range(blocks):
        for part, linear, size in (("self_attn", "q_proj", 4096), ("mlp", "up_proj", 12288)):
            if share and part in parts:
                achieved = share * (1 + (random.uniform(-0.5, 0.5) if uneven else 0))
                name = f"model.layers.{block}.{part}.{linear}.weight"
                linears[name] = {"shape": [size, 4096], "requested": share, "achieved": achieved}
    removed_fraction = len(removed) / blocks if removed else share * SHARES[parts]
    left = round(PARAMETERS * (1 - len(removed) / blocks * IN_BLOCKS))
    record = {
        "format": 1,
        "method": "shortgpt" if removed else variant.split("-")[0],
        "options": {},
        "model_digest": "0" * 64,
        "removed_blocks": removed,
        "linears": linears,
        "blocks": blocks,
        "requested": len(removed) / blocks if removed else share,
        "removed_fraction": removed_fraction,
        "removed_of_all": IN_BLOCKS * removed_fraction,
        "parameters": PARAMETERS,
        "export": {"parameters": left, "bytes": 2 * left},
        "digest": hashlib.sha256(variant.encode()).hexdigest(),
    }
    write_json(path, record)


def _write_statistics(folder: Path, blocks: int, random: np.random.Generator) -> None:
    places = np.linspace(-1, 1, blocks)
    influence = (0.05 + 0.3 * places**4 + random.uniform(0, 0.02, blocks)).astype(np.float32)
    path = folder / "statistics" / "c4.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"block_influence": influence}, path, metadata={"model_digest": "0" * 64})
    rows = [dict(_scores(random)) for _ in range(blocks)]
    write_json(
        folder / "influence" / "c4.json",
        {"format": 1, "model_digest": "0" * 64, "hessian": "identity", "blocks": rows},
    )


def _scores(random: np.random.Generator) -> Iterator[tuple[str, float]]:
    for part in ("attention", "mlp"):
        yield part, float(random.normal())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", required=True, type=Path, help="folder to write the results in")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--build", action="store_true", help="make tables, figures and report too")
    options = parser.parse_args(arguments)
    results = options.output / "results"
    write_run(results, options.repeats)
    if not options.build:
        return
    wall, processor = time.perf_counter(), time.process_time()
    names = {"models": [*MODELS], "variants": [*VARIANTS], "benchmarks": [*BENCHMARKS]}
    ways = {}
    for variant in VARIANTS:
        name, _, level = variant.rpartition("-")
        method = variant.split("-")[0]
        family = {"dense": "none", "shortgpt": "depth"}.get(method, "unstructured")
        ways[variant] = Way(method, name or variant, level if name else "", family)
    sets = {"calibration": ["c4"], "influence": ["c4"], "variant": []}
    everything.build(
        results,
        options.output / "resources",
        [options.output / "logs"],
        {},
        {"reference": "dense", "ways": as_lists(ways), **names, **sets},
        options.output,
    )
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(f"tables, figures and report: {wall:.1f} s, {processor:.1f} s of a processor")


if __name__ == "__main__":
    main()
