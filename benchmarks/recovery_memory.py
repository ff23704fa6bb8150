"""How much memory training after pruning needs, on random checkpoints of a real model's shape.

    python -m benchmarks.recovery_memory [--blocks 4 8] [--tokens 512 2048] [--device cuda]

Makes bf16 checkpoints of Qwen2.5-1.5B's shape with that many blocks (28 are the model) in a
temporary folder, takes half of the weights of every linear away by magnitude, trains two steps of a
row of so many tokens, and weighs the whole process: over blocks with the fewest tokens, and over
tokens with the most blocks. Beside the peak stand what `estimates.training` counts for the training
and, as that does not depend on it, for a mask: a byte a weight that is trained beside it. On a GPU
the stage itself says how much of it was taken, and the peak is that of the machine's memory.

At the end: what the same counts come to for a model of 8 B on one GPU.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

from benchmarks.processes import Cost, stage
from benchmarks.pruning_memory import parameter_shapes, write_checkpoint
from benchmarks.pruning_work import SPARSITY, UNIFORM, Work
from workflow_scripts.artefacts.masks import VariantFiles
from workflow_scripts.artefacts.recovery_records import read_recovery_record
from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.recoveries import AnyRecovery, Recovery
from workflow_scripts.estimates import training
from workflow_scripts.models.linear_names import MLP
from workflow_scripts.paths import BUNDLED

FILES = ("mask.safetensors", "weights.safetensors", "mask.json")
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
# Llama-3.1-8B: weights and blocks; a linear's outputs or, of o and down, its inputs, by 4096
EIGHT_B, BLOCKS_OF_EIGHT_B, WIDTH = 8.03e9, 32, 4096
SIDES = {"q": WIDTH, "k": 1024, "v": 1024, "o": WIDTH} | dict.fromkeys(MLP, 14336)
# what it is trained with, a row of 4096 tokens in memory: as in arXiv 2601.18091, and all linears
RECOVERIES = {
    "q, v, gate, rank 16": {"rank": 16, "targets": ["q_proj", "v_proj", "gate_proj"]},
    "all linears, rank 8": {"rank": 8},
    "all linears, rank 32": {"rank": 32},
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, nargs="+", default=[4])
    parser.add_argument("--tokens", type=int, nargs="+", default=[512])
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(argv)
    fewest, most = min(options.tokens), max(options.blocks)
    cases = [(blocks, fewest) for blocks in sorted(options.blocks)]
    cases += [(most, tokens) for tokens in sorted(options.tokens) if tokens != fewest]
    columns = ("mask", "blocks", "tokens", "trained", "peak MiB", "counted MiB", "its mask MiB")
    print(f"| {' | '.join([*columns, 'beside them'])} |")
    print(f"|:--|{'--:|' * len(columns)}")
    for blocks, tokens in cases:
        with tempfile.TemporaryDirectory() as scratch:
            measure(Path(scratch), blocks, tokens, options)
    print()
    eight_b()


def recovery(tokens: int, **keys: Any) -> Recovery:
    """A step of one row of so many tokens; two steps, so that AdamW has its means."""
    said = {"kind": "lora", "alpha": 16, "length": tokens, "steps": 2, "batch": 1, "loss": "all"}
    return parser_of(AnyRecovery)(json.dumps(said | {"learning_rate": 1e-4} | keys))


def measure(folder: Path, blocks: int, tokens: int, options: argparse.Namespace) -> None:
    """Weigh training over a new checkpoint, dense and masked, and print a line for each."""
    work = Work(folder / "model", folder, options.threads)
    write_checkpoint(work.model, blocks)
    for name in TOKENIZER:
        shutil.copyfile(BUNDLED / "models/reasoner" / name, work.model / name)
    shapes = parameter_shapes(blocks)
    in_linears = sum(prod(s) for name, s in shapes.items() if "_proj.weight" in name)
    entry = recovery(tokens, rank=options.rank)
    for name in ("dense", "magnitude"):
        if name == "magnitude":
            work.allocate(work.allocation, UNIFORM, SPARSITY)
        work.mask({"method": name} | ({"sparsity": SPARSITY} if name == "magnitude" else {}), name)
        cost, trained = train(work, name, entry, options.device)
        counted = training.cpu_memory(entry, sum(map(prod, shapes.values())), blocks) / 2**20
        mask = (in_linears if name == "magnitude" else 0) / 2**20
        if options.device == "cuda":
            counted = mask = 0.0
        print(
            f"| {name} | {blocks} | {tokens} | {trained:,} | {cost.peak_mib:.0f} | {counted:.0f} | "
            f"{mask:.0f} | {cost.peak_mib - counted - mask:.0f} |",
            flush=True,
        )


def train(work: Work, name: str, entry: Recovery, device: str) -> tuple[Cost, int]:
    """Run the stage; its cost and the number of parameters that it trained."""
    texts = work.scratch / "texts.jsonl"
    rows = [json.dumps({"text": f"{number}" + "1+" * entry.length}) for number in range(2)]
    texts.write_text("\n".join(rows), encoding="utf-8")
    start = VariantFiles(*(work.scratch / f"{name}-{file}" for file in FILES))
    after = VariantFiles(*(work.scratch / f"{name}-trained-{file}" for file in FILES))
    record = work.scratch / f"{name}-recovery.json"
    flags = {"model": work.model, "options": entry.model_dump_json(exclude_none=True)}
    flags |= {"texts": json.dumps({"kind": "local", "path": str(texts)}), "device": device}
    flags |= {f"pruned-{kind}": path for kind, path in start._asdict().items()} | after._asdict()
    flags |= {"threads": work.threads, "recovery": record}
    parts = [part for flag, value in flags.items() for part in (f"--{flag}", value)]
    return stage("recovery.recover", *parts), read_recovery_record(record).trained


def eight_b() -> None:
    """What is counted for a model of 8 B that is trained on one GPU, part by part."""
    rows = []
    for words, keys in RECOVERIES.items():
        entry = recovery(4096, **keys)
        targets = entry.targets or [f"{role}_proj" for role in SIDES]
        masked = sum(WIDTH * SIDES[name.removesuffix("_proj")] for name in targets)
        parts = dict(training.gpu_memory(entry, EIGHT_B, BLOCKS_OF_EIGHT_B))
        parts["mask"] = BLOCKS_OF_EIGHT_B * masked
        rows.append((words, parts | {"all": sum(parts.values())}))
    names = [*rows[0][1]]
    print(f"| 8 B, GB of a GPU | {' | '.join(names)} |")
    print(f"|:--|{'--:|' * len(names)}")
    for words, parts in rows:
        print(f"| {words} | {' | '.join(f'{size / 1e9:.1f}' for size in parts.values())} |")


if __name__ == "__main__":
    main()
