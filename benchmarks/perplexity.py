"""Perplexity on held-out text, for every method at several shares removed.

    python -m benchmarks.perplexity --model resources/models/smollm2 --threads 2 \\
        [--samples 16] [--length 256] [--methods sleb shortgpt]

The text is that of Python's own manual, which comes with every Python (`pydoc_data.topics`): every
fourth topic is held out, calibration draws from the others. Each method is built by the stages as
a run builds it, from the same token ids. A share is that of the blocks' linear weights; of a method
that removes whole blocks, the nearest number of blocks; of SliceGPT, that of the width of hidden
states. Prints a table, with what was removed.
"""

import argparse
import json
import math
import random
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer

from benchmarks.processes import stage
from workflow_scripts.artefacts.masks import read_pruned, variant_files
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned
from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.methods import METHODS, Variant
from workflow_scripts.models import architectures, checkpoints
from workflow_scripts.models.checkpoints import Checkpoint
from workflow_scripts.models.tensors import save_tensors

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)
HELD_OUT = 4  # one topic of so many
EVALUATED = 4096  # tokens
SET = {"calibration": "manual"}
# what each row of the table asks for, beside how much
ROWS: dict[str, dict[str, Any]] = {
    "magnitude": {"method": "magnitude"},
    "Wanda": {"method": "wanda", **SET},
    "Wanda, sequential": {"method": "wanda", **SET, "propagate": "pruned"},
    "STADE": {"method": "stade", **SET},
    "Wanda, AlphaPruning": {"method": "wanda", **SET, "allocation": {"kind": "alphapruning"}},
    "SparseGPT": {"method": "sparsegpt", **SET},
    "magnitude-sp": {"method": "magnitude-sp"},
    "Wanda-sp": {"method": "wanda-sp", **SET},
    "FLAP": {"method": "flap", **SET},
    "FLAP, compensated": {"method": "flap", **SET, "compensate": True},
    "LLM-Pruner": {"method": "llm-pruner", **SET, "keep_first": 4, "keep_last": 2},
    "SliceGPT": {"method": "slicegpt", **SET},
    "SliceGPT, normalised": {"method": "slicegpt", **SET, "signal": "normalised"},
    "ShortGPT": {"method": "shortgpt", **SET},
    "SLEB": {"method": "sleb", **SET},
    "Shortened, perplexity": {"method": "shortened-ppl", **SET},
    "Shortened, Taylor": {"method": "shortened-taylor", **SET},
    "Shortened, magnitude": {"method": "shortened-magnitude"},
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES)
    parser.add_argument("--methods", nargs="+", default=[*ROWS], choices=[*ROWS], metavar="ROW")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    checkpoint = checkpoints.open_checkpoint(options.model.resolve())
    calibration, held_out = token_ids(checkpoint.folder, options.samples, options.length)
    print(f"dense: {perplexity(checkpoint, held_out):.2f}\n")
    print(f"| method | {' | '.join(f'{share:.0%}' for share in options.shares)} |")
    print(f"|:--|{'--:|' * len(options.shares)}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        work = Work(checkpoint, Path(scratch), options.threads)
        digest = checkpoints.model_digest(checkpoint.folder)
        save_tensors(
            work.files["calibration"], {"input_ids": calibration}, {"model_digest": digest}
        )
        stage(
            "calibration.collect_statistics",
            *("--model", checkpoint.folder, "--calibration", work.files["calibration"]),
            *("--threads", options.threads, "--output", work.files["statistics"]),
        )
        for row in options.methods:
            print(
                f"| {row} | {' | '.join(cells(work, row, options.shares, held_out))} |", flush=True
            )


class Work:
    """One model, and a folder for what the stages make of it."""

    def __init__(self, checkpoint: Checkpoint, scratch: Path, threads: int) -> None:
        self.checkpoint, self.scratch, self.threads = checkpoint, scratch, threads
        names = ("allocation", "statistics", "calibration")
        self.files = {name: scratch / f"{name}.safetensors" for name in names}

    def build(self, entry: dict[str, Any]) -> None:
        """Make a variant's files by its entry in a config."""
        variant = parser_of(Variant)(json.dumps(entry))
        needed = variant.files()
        if "allocation" in needed:
            share = {"sparsity": entry["sparsity"], **self._allocation(entry)}
            stage(
                "allocation.allocate_sparsity",
                *("--model", self.checkpoint.folder, "--options", json.dumps(share)),
                *self._flags(variant.allocation.files()),
                *("--output", self.files["allocation"]),
            )
        made = variant_files(self.scratch)
        stage(
            "masking.build_mask",
            *("--model", self.checkpoint.folder, "--options", json.dumps(entry)),
            *self._flags(needed),
            *("--threads", self.threads, "--mask", made.mask),
            *("--weights", made.weights, "--record", made.record),
        )

    def _allocation(self, entry: dict[str, Any]) -> dict[str, Any]:
        return {"allocation": entry.get("allocation", {"kind": "uniform"})}

    def _flags(self, needed: Sequence[str]) -> Iterator[object]:
        for name in needed:
            yield from (f"--{name}", self.files[name])


def cells(work: Work, row: str, shares: Sequence[float], held_out: Tensor) -> Iterator[str]:
    """Perplexity and the share of the blocks' weights removed, for each share asked for."""
    for entry in asked(work, ROWS[row], shares):
        try:
            work.build(entry)
        except subprocess.CalledProcessError:  # so much cannot go, as the job has said
            yield "–"
            continue
        pruned = read_pruned(variant_files(work.scratch))
        found = perplexity(work.checkpoint, held_out, pruned)
        yield f"{found:.1f} ({pruned.record.removed_fraction:.0%})"


def asked(work: Work, entry: dict[str, Any], shares: Sequence[float]) -> Iterator[dict[str, Any]]:
    """The entries that remove these shares of the blocks' weights.

    What SLEB and the perplexities choose first goes however much goes: one search has all of it.
    """
    blocks, key = work.checkpoint.blocks, METHODS[entry["method"]].amount
    if key != "remove_blocks":
        pruned = blocks - entry.get("keep_first", 0) - entry.get("keep_last", 0)
        yield from (entry | {key: share * blocks / pruned} for share in shares)
        return
    counts = [round(share * blocks) for share in shares]
    if entry["method"] not in ("sleb", "shortened-ppl"):
        yield from (entry | {key: count} for count in counts)
        return
    work.build(entry | {key: max(counts)})
    rounds = [each.values for each in read_pruned(variant_files(work.scratch)).record.scores]
    scored = [sorted((v, n) for n, v in enumerate(values) if v is not None) for values in rounds]
    order = [n for _, n in scored[0]] if len(scored) == 1 else [values[0][1] for values in scored]
    yield from ({"method": "blocks", "blocks": order[:count]} for count in counts)


def token_ids(folder: Path, samples: int, length: int) -> tuple[Tensor, Tensor]:
    """Windows of the manual for calibration, (samples, length), and as long ones held out."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    names = sorted(topics)
    random.Random(0).shuffle(names)
    held_out = names[::HELD_OUT]
    seen = [name for name in names if name not in held_out]

    def windows(some: Sequence[str], count: int) -> Tensor:
        text = "\n\n".join(topics[name] for name in some)
        found = torch.tensor(tokenizer(text)["input_ids"], dtype=torch.int32)
        return found[: len(found) // length * length].reshape(-1, length)[:count]

    return windows(seen, samples), windows(held_out, EVALUATED // length)


@torch.no_grad()
def perplexity(checkpoint: Checkpoint, input_ids: Tensor, pruned: Any = None) -> float:
    """exp of the mean cross-entropy over all windows, (windows, length), in fp32."""
    model = architectures.load_model(checkpoint, torch.float32)
    if pruned is not None:
        apply_pruned(model, pruned, checkpoint)
    total = 0.0
    for window in input_ids.long():
        logits = model(window[None], use_cache=False).logits[0, :-1]
        total += float(torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum"))
    return math.exp(total / (input_ids.numel() - len(input_ids)))


if __name__ == "__main__":
    main()
