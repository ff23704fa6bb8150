"""A made-up run of the paper's size, in the results' own layout, for tables, figures and report.

    python -m benchmarks.made_up_results --output FOLDER [--repeats 3] [--build]

2 models × 25 variants × 4 benchmarks × 5 budgets: the dense model, magnitude and Wanda with three
allocations at 10 and 20 %, attention or MLP alone, ShortGPT, and two by which tokens skip
sublayers. Nothing is generated: answers are drawn from accuracies in the neighbourhood of the
published ones, traces are words at random that a variant shares with the dense model up to some
place, and some end in a loop. Those of three repeats are 115,000, of 2,400 tokens on average, and
take 1.7 GB. It makes the same files each time. With --build it then makes all tables, figures and
the report, and says how long that took; as many processes as there are cores read the traces.
"""

import argparse
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from workflow_scripts.artefacts.mask_records import DynamicRecord
from workflow_scripts.artefacts.routes import Place, Ran, RouteRecord, write_routes
from workflow_scripts.config.entry import plain
from workflow_scripts.config.load import load_settings
from workflow_scripts.config.methods import METHODS
from workflow_scripts.config.overlays import read_config
from workflow_scripts.files.atomic import write_json, write_text
from workflow_scripts.models.routing import PARTS
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
WORDS, POOL = 1500, 1_000_000  # different words, and how many in a row traces are taken from
LOOPING = {"shortgpt-1": 0.15, "shortgpt-2": 0.4}  # of traces that end in a loop; of others:
FEW = 0.02
# by variant whose tokens skip sublayers, the shares of attentions and MLPs that they skip
DYNAMIC = {"skipgpt-20": (0.3, 0.1), "mod-20": (0.4, 0.0)}
PLACES = 64
# of tokens: how many, and how many times as much they skip
KINDS = {"digit": (0.25, 0.5), "operator": (0.15, 0.7), "delimiter": (0.2, 1.1), "word": (0.4, 1.4)}
VARIANTS = ("dense", *UNSTRUCTURED, "shortgpt-1", "shortgpt-2", *DYNAMIC)


class Text:
    """Words at random, of which every one is a token, and parts of them by their numbers."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        letters = np.array([*"eeetttaaoinshrdlucmfwyp"])
        words = [" " + "".join(random.choice(letters, n)) for n in random.integers(2, 8, WORDS)]
        self.words = [*dict.fromkeys([*words, " wait", " check"])]
        drawn = [self.words[i] for i in random.integers(len(self.words), size=POOL)]
        self.text = "".join(drawn)
        self.ends = np.concatenate([[0], np.cumsum([len(word) for word in drawn])])

    def part(self, start: int, count: int) -> str:
        return self.text[self.ends[start] : self.ends[start + count]]


def write_resources(folder: Path, text: Text) -> None:
    """Write problems, and for every model a tokenizer, below `folder`."""
    for benchmark, problems in BENCHMARKS.items():
        rows = [
            {"id": f"{benchmark}-{number:03}", "question": "?", "answer": "42", "kind": "integer"}
            for number in range(problems)
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        write_text(folder / "benchmarks" / f"{benchmark}.jsonl", lines)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=20 * WORDS, special_tokens=["<eos>"])
    tokenizer.train_from_iterator(text.words, trainer)
    for model in MODELS:
        made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>")
        made.save_pretrained(folder / "models" / model)


def write_run(folder: Path, repeats: int = 3, text: Text | None = None) -> None:
    """Write masks, statistics, influence scores, grades, answers and what made them, traces and
    routes below `folder`.
    """
    text = text or Text()
    for number, (model, (blocks, accuracies)) in enumerate(MODELS.items()):
        random = np.random.default_rng([number, repeats])
        _write_statistics(folder / model, blocks, random)
        hardness = {
            name: random.beta(2 * p, 2 * (1 - p), size=BENCHMARKS[name])
            for name, p in zip(BENCHMARKS, accuracies, strict=True)
        }
        for variant in VARIANTS:
            _write_mask(folder / model / variant / "mask.json", variant, blocks, random)
            _write_record(folder / model / variant / "generation.json")
            for benchmark, of_problems in hardness.items():
                correct = _draw(variant, of_problems, repeats, random)
                lengths = _write_answers(folder / model / variant, benchmark, correct, random)
                _write_traces(folder / model / variant, benchmark, lengths, text)
                if variant in DYNAMIC:
                    place = folder / model / variant / "routes" / f"{benchmark}.json"
                    write_routes(place, _routes(variant, blocks, random))


def _draw(variant: str, of_problems: NDArray, repeats: int, random: np.random.Generator) -> NDArray:
    """Correct answers, shape (budgets, problems, repeats)."""
    kept = {"dense": 1.0, "shortgpt-1": 0.8, "shortgpt-2": 0.55, "mod-20": 0.85}.get(
        variant, 0.97 if variant.endswith("10") else 0.93
    )
    growth = np.linspace(0.55, 1, len(BUDGETS))
    chances = kept * growth[:, None] * of_problems
    return random.random((*chances.shape, repeats)) < chances[..., None]


def _routes(variant: str, blocks: int, random: np.random.Generator) -> RouteRecord:
    """What ran where: the middle of the model is skipped most, and more so late in a trace."""
    hill = 1.8 * np.exp(-(np.linspace(-2, 2, blocks) ** 2))

    def ran(tokens: int, times: float) -> dict[str, Any]:
        shares = {
            part: 1 - np.clip(times * share * hill * random.uniform(0.8, 1.2, blocks), 0, 1)
            for part, share in zip(PARTS, DYNAMIC[variant], strict=True)
        }
        return {
            "tokens": tokens,
            **{k: np.rint(tokens * v).astype(int).tolist() for k, v in shares.items()},
        }

    width = BUDGETS[-1] // PLACES
    return RouteRecord(
        digest=_digest(variant),
        blocks=blocks,
        traces=Ran(**ran(100_000, 1.0)),
        answers=Ran(**ran(10_000, 1.1)),
        places=tuple(
            Place(
                first=n * width, end=(n + 1) * width, **ran(4000 - 60 * n, 0.7 + 0.6 * n / PLACES)
            )
            for n in range(PLACES)
        ),
        kinds={kind: Ran(**ran(round(100_000 * of), times)) for kind, (of, times) in KINDS.items()},
    )


def _digest(variant: str) -> str:
    return hashlib.sha256(variant.encode()).hexdigest()


def _ran(variant: str, random: np.random.Generator) -> dict[str, dict[str, float]]:
    """The shares that ran of a trace and an answer; nothing of a variant that does not skip."""
    return {
        of: {
            part: float(1 - share * random.uniform(0.9, 1.1))
            for part, share in zip(PARTS, DYNAMIC[variant], strict=True)
        }
        for of in (("trace_ran", "ran") if variant in DYNAMIC else ())
    }


def _write_answers(
    folder: Path, benchmark: str, correct: NDArray, random: np.random.Generator
) -> NDArray:
    """Write answers and their grades; how many tokens each trace has, (problems, repeats)."""
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
                **_ran(folder.name, random),
            }
        )
    for name, rows in (("grades", grades), ("answers", answers)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        write_text(folder / name / f"{benchmark}.jsonl", text)
    return lengths


def _write_traces(folder: Path, benchmark: str, lengths: NDArray, text: Text) -> None:
    """Traces that begin as the dense model's do, which is at the same place in the text."""
    variant = folder.name
    random = np.random.default_rng([VARIANTS.index(variant), len(benchmark)])
    rows = []
    for identity, repeat in np.ndindex(*lengths.shape):
        count = min(int(lengths[identity, repeat]), BUDGETS[-1])
        start = (9973 * identity + 1009 * repeat) % (POOL // 4)
        shared = count if variant == "dense" else min(count, int(random.geometric(0.003)))
        rest, other = count - shared, POOL // 2 + int(random.integers(POOL // 4))
        looped = rest // 2 if random.random() < LOOPING.get(variant, FEW) else 0
        unit = int(random.integers(1, 60))
        loop = text.part(other, unit) * (looped // unit + 1)
        kept = " ".join(loop.split(" ")[: looped + 1])
        rows.append(
            {
                "id": f"{benchmark}-{identity:03}",
                "repeat": repeat,
                "seed": 7 * identity + repeat,
                "tokens": count,
                "finish": "length" if lengths[identity, repeat] > BUDGETS[-1] else "stop",
                "text": text.part(start, shared) + text.part(other, rest - looped) + kept,
            }
        )
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    write_text(folder / "traces" / f"{benchmark}.jsonl", lines)


def _write_mask(path: Path, variant: str, blocks: int, random: np.random.Generator) -> None:
    removed = {"shortgpt-1": [16], "shortgpt-2": [16, 17]}.get(variant, [])
    nothing = removed or variant == "dense" or variant in DYNAMIC
    share = 0.0 if nothing else int(variant[-2:]) / 100
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
        "digest": _digest(variant),
    }
    if variant in DYNAMIC:
        record |= _dynamic(variant, blocks)
    write_json(path, record)


def _write_record(path: Path) -> None:
    """Prompts of 60 to 259 tokens, and what puts two tokens before an answer."""
    prompts = {
        name: {f"{name}-{number:03}": 60 + 7 * number % 200 for number in range(size)}
        for name, size in BENCHMARKS.items()
    }
    producer = {"engine": "made up", "device": "made up", "dtype": "bfloat16"}
    record = {
        "settings": {"dtype": "bfloat16", "batch_size": "auto"},
        "producers": [producer],
        "prompt_tokens": prompts,
        "put_between": dict.fromkeys(("stop", "eos", "length"), 2),
    }
    write_json(path, record)


def write_model(folder: Path, blocks: int) -> None:
    """A checkpoint whose header has the tensors of an 8B model and whose weights are a hole."""
    shapes = {"model.embed_tokens.weight": (151936, 4096), "lm_head.weight": (151936, 4096)}
    for block in range(blocks):
        sides = {
            "self_attn.q_proj": (4096, 4096), "self_attn.k_proj": (1024, 4096),
            "self_attn.v_proj": (1024, 4096), "self_attn.o_proj": (4096, 4096),
            "mlp.gate_proj": (12288, 4096), "mlp.up_proj": (12288, 4096),
            "mlp.down_proj": (4096, 12288),
        }  # fmt: skip
        shapes |= {f"model.layers.{block}.{name}.weight": side for name, side in sides.items()}
    header, end = {}, 0
    for name, (rows, columns) in shapes.items():
        begin, end = end, end + 2 * rows * columns
        header[name] = {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(path, 8 + len(text) + end)
    config = {"model_type": "qwen3", "num_hidden_layers": blocks, "num_attention_heads": 32}
    write_json(folder / "config.json", config)


def _dynamic(variant: str, blocks: int) -> dict[str, Any]:
    """What the record of a mask says of routers that were trained, and nothing else."""
    method, skipped = variant.split("-")[0], dict(zip(PARTS, DYNAMIC[variant], strict=True))
    entry = METHODS[method](method=method, skip=0.2)
    found = DynamicRecord(
        routing=entry.routing(blocks),
        spared={"attention": SHARES["self_attn",], "mlp": SHARES["mlp",]},
        skipped=sum(skipped.values()) / len(PARTS),
    )
    found = found.model_copy(update={"unused": found.unused_of(skipped)})
    return {
        "dynamic": found.model_dump(mode="json"), "recovery": {"kind": "routers"},
        "requested": entry.skip, "removed_fraction": -1e-5, "removed_of_all": -1e-5, "export": None,
    }  # fmt: skip


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
    results, text = options.output / "results", Text()
    write_resources(options.output / "resources", text)
    write_run(results, options.repeats, text)
    for model, (blocks, _) in MODELS.items():
        write_model(options.output / "resources/models" / model, blocks)
    if not options.build:
        return
    wall, processor = time.perf_counter(), time.process_time()
    names = {"models": [*MODELS], "variants": [*VARIANTS], "benchmarks": [*BENCHMARKS]}
    ways = {}
    for variant in VARIANTS:
        name, _, level = variant.rpartition("-")
        method = variant.split("-")[0]
        family = {"dense": "none", "shortgpt": "depth"}.get(method, "unstructured")
        way = Way(method, name or variant, level if name else "", family)
        ways[variant] = way
        if variant in DYNAMIC:
            ways[variant] = replace(way, family="dynamic", recovery="routers", pruned=name)
    sets = {"calibration": ["c4"], "influence": ["c4"], "variant": []}
    everything.build(
        results,
        options.output / "resources",
        [options.output / "logs"],
        {},
        {
            "reference": "dense",
            "ways": as_lists(ways),
            "diagnosis": plain(load_settings(read_config([])).diagnosis),
            "dynamic": [*DYNAMIC],
            **names,
            **sets,
        },
        options.output,
        os.cpu_count() or 1,
    )
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(f"tables, figures and report: {wall:.1f} s, {processor:.1f} s of a processor")


if __name__ == "__main__":
    main()
