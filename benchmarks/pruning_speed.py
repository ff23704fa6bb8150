"""How fast pruning is, as ratios to a bare forward pass in the same run.

    python -m benchmarks.pruning_speed --model resources/models/smollm2 \\
        --samples 64 --length 512 --threads 2 --rounds 3 [--peer PEER/bin/python]

Every round runs, in turn, each as whole processes with start-up included:

- a bare forward pass of transformers over the token ids: the floor;
- the statistics pass;
- a Wanda mask from those statistics;
- the original sequential Wanda (`propagate: pruned`);
- the statistics pass and the 12 unstructured variants of arXiv 2604.25098: magnitude and Wanda,
  uniform, OWL and LayerIF allocation (influence scores given), 10 % and 20 %;
- with --peer, Wanda by llm-compressor in its own environment, on the same token ids.

Token ids are random, drawn once with a fixed seed: the work does not depend on what they say.
Prints medians over the rounds, ratios to the floor of the same round, and the share of equal bits.
"""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from benchmarks.processes import PROJECT, Cost, run, stage
from workflow_scripts.models import checkpoints
from workflow_scripts.models.tensors import save_tensors

SPARSITIES = (0.1, 0.2)
PEER_SPARSITY = 0.5
OWL = {"kind": "owl", "calibration": "ids"}
LAYERIF = {"kind": "layerif", "influence": "made-up"}
MAGNITUDE = {"method": "magnitude", "sparsity": PEER_SPARSITY}
WANDA = {"method": "wanda", "sparsity": PEER_SPARSITY, "calibration": "ids"}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", type=Path, help="python of an environment with llm-compressor")
    options = parser.parse_args(argv)
    model = options.model.resolve()
    with tempfile.TemporaryDirectory() as scratch:
        work = Work(model, Path(scratch), options.threads)
        write_inputs(work, options.samples, options.length)
        tasks: dict[str, Callable[[], Cost]] = {
            "bare forward pass": work.floor,
            "statistics pass": work.statistics_pass,
            "Wanda mask from statistics": work.wanda,
            "sequential Wanda": work.sequential_wanda,
            "12 variants, statistics included": work.all_variants,
        }
        if options.peer:
            tasks["llm-compressor Wanda"] = lambda: work.peer(options.peer.absolute())
        rounds = [{name: task() for name, task in tasks.items()} for _ in range(options.rounds)]
        print_table(rounds)
        if options.peer:
            print(f"\nequal mask bits, sequential Wanda and llm-compressor: {work.agreement():.4%}")


class Work:
    """The tasks over one model and one set of token ids, with a folder for what they make."""

    def __init__(self, model: Path, scratch: Path, threads: int) -> None:
        self.model, self.scratch, self.threads = model, scratch, threads
        self.calibration = scratch / "calibration.safetensors"
        self.statistics = scratch / "statistics.safetensors"
        self.influence = scratch / "influence.json"

    def floor(self) -> Cost:
        script = PROJECT / "benchmarks/bare_forward.py"
        return run([sys.executable, script, self.model, self.calibration, self.threads])

    def statistics_pass(self) -> Cost:
        return stage(
            "calibration.collect_statistics",
            *("--model", self.model, "--calibration", self.calibration),
            *("--threads", self.threads, "--output", self.statistics),
        )

    def wanda(self) -> Cost:
        allocation = self._allocate({"kind": "uniform"}, PEER_SPARSITY)[0]
        return self._mask(WANDA, allocation, "--statistics", self.statistics)

    def sequential_wanda(self) -> Cost:
        allocation = self._allocate({"kind": "uniform"}, PEER_SPARSITY)[0]
        options = WANDA | {"propagate": "pruned"}
        return self._mask(options, allocation, "--calibration", self.calibration)

    def all_variants(self) -> Cost:
        allocations = (
            ({"kind": "uniform"}, []),
            (OWL, ["--statistics", self.statistics]),
            (LAYERIF, ["--influence", self.influence]),
        )
        total = self.statistics_pass()
        for (kind, files), sparsity in itertools.product(allocations, SPARSITIES):
            allocation, cost = self._allocate(kind, sparsity, *files)
            total += cost
            total += self._mask(MAGNITUDE, allocation)
            total += self._mask(WANDA, allocation, "--statistics", self.statistics)
        return total

    def peer(self, python: Path) -> Cost:
        script = PROJECT / "benchmarks/peer_wanda.py"
        output = self.scratch / "peer.safetensors"
        arguments = [self.model, self.calibration, PEER_SPARSITY, self.threads, output]
        return run([python, script, *arguments])

    def agreement(self) -> float:
        """The share of weights that sequential Wanda and the peer treat alike."""
        self.sequential_wanda()
        masks = [load_file(self.scratch / f"{name}.safetensors") for name in ("mask", "peer")]
        equal = total = 0
        for linear in checkpoints.linears(checkpoints.open_checkpoint(self.model)):
            ours, theirs = (
                np.unpackbits(mask[linear.name].numpy(), count=linear.weights) for mask in masks
            )
            equal += int((ours == theirs).sum())
            total += linear.weights
        return equal / total

    def _allocate(self, kind: dict, sparsity: float, *files: object) -> tuple[Path, Cost]:
        output = self.scratch / "allocation.json"
        options = {"allocation": kind, "sparsity": sparsity}
        cost = stage(
            "allocation.allocate_sparsity",
            *("--model", self.model, "--options", json.dumps(options)),
            *(*files, "--output", output),
        )
        return output, cost

    def _mask(self, options: dict, allocation: Path, *files: object) -> Cost:
        return stage(
            "masking.build_mask",
            *("--model", self.model, "--options", json.dumps(options), "--allocation", allocation),
            *(*files, "--threads", self.threads),
            *("--mask", self.scratch / "mask.safetensors"),
            *("--weights", self.scratch / "weights.safetensors"),
            *("--record", self.scratch / "mask.json"),
        )


def write_inputs(work: Work, samples: int, length: int) -> None:
    """Random token ids, and made-up influence scores: the time does not depend on either."""
    checkpoint = checkpoints.open_checkpoint(work.model)
    digest = checkpoints.model_digest(work.model)
    generator = torch.Generator().manual_seed(0)
    rows = checkpoint.shapes[checkpoints.EMBEDDING][0]
    input_ids = torch.randint(rows, (samples, length), generator=generator, dtype=torch.int32)
    save_tensors(work.calibration, {"input_ids": input_ids}, {"model_digest": digest})
    scores = torch.rand(checkpoint.blocks, 2, generator=generator).tolist()
    influence = {
        "format": 1,
        "convention": "made up",
        "hessian": "identity",
        "model_digest": digest,
        "train_samples": 1,
        "validation_samples": 1,
        "blocks": [{"attention": a, "mlp": m} for a, m in scores],
    }
    work.influence.write_text(json.dumps(influence))


def print_table(rounds: Sequence[dict[str, Cost]]) -> None:
    """Medians over the rounds; a ratio is that of two tasks of the same round."""
    floor = next(iter(rounds[0]))
    print("| task | seconds | peak MiB | ratio to the floor (least to most) |")
    print("|:--|--:|--:|--:|")
    for task in rounds[0]:
        seconds = statistics.median(costs[task].seconds for costs in rounds)
        peak = max(costs[task].peak_mib for costs in rounds)
        ratios = sorted(costs[task].seconds / costs[floor].seconds for costs in rounds)
        middle = statistics.median(ratios)
        span = f"{middle:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(f"| {task} | {seconds:.1f} | {peak:.0f} | {span} |")


if __name__ == "__main__":
    main()
