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
- SparseGPT;
- with --peer, Wanda and SparseGPT by llm-compressor in its own environment, on the same token ids.

Token ids are random, drawn once with a fixed seed: the work does not depend on what they say.
Prints medians over the rounds and ratios to the floor of the same round; beside the peer, the share
of equal bits of Wanda's masks, and what SparseGPT's linears put out wrongly on inputs of the dense
model. --tasks picks some of the tasks.
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
from torch import Tensor

from benchmarks.processes import PROJECT, Cost, run, stage
from workflow_scripts.models import blocks, checkpoints
from workflow_scripts.models.activations import watched
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import read_tensor, save_tensors

SPARSITIES = (0.1, 0.2)
PEER_SPARSITY = 0.5
OWL = {"kind": "owl", "calibration": "ids"}
LAYERIF = {"kind": "layerif", "influence": "made-up"}
MAGNITUDE = {"method": "magnitude", "sparsity": PEER_SPARSITY}
WANDA = {"method": "wanda", "sparsity": PEER_SPARSITY, "calibration": "ids"}
SPARSEGPT = {"method": "sparsegpt", "sparsity": PEER_SPARSITY, "calibration": "ids"}
FLOOR = "bare forward pass"
ERRORS_OF = ("sparsegpt-weights", "peer-sparsegpt")
PEER_TASKS = {"wanda": "llm-compressor Wanda", "sparsegpt": "llm-compressor SparseGPT"}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", type=Path, help="python of an environment with llm-compressor")
    parser.add_argument("--tasks", nargs="+", help="names as in the table; the floor runs anyway")
    options = parser.parse_args(argv)
    model = options.model.resolve()
    with tempfile.TemporaryDirectory() as scratch:
        work = Work(model, Path(scratch), options.threads)
        write_inputs(work, options.samples, options.length)
        tasks: dict[str, Callable[[], Cost]] = {
            FLOOR: work.floor,
            "statistics pass": work.statistics_pass,
            "Wanda mask from statistics": work.wanda,
            "sequential Wanda": work.sequential_wanda,
            "SparseGPT": work.sparsegpt,
            "12 variants, statistics included": work.all_variants,
        }
        if options.peer:
            python = options.peer.absolute()
            for method, name in PEER_TASKS.items():
                tasks[name] = lambda method=method: work.peer(python, method)
        chosen = {FLOOR, *(options.tasks or tasks)}
        tasks = {name: task for name, task in tasks.items() if name in chosen}
        rounds = [{name: task() for name, task in tasks.items()} for _ in range(options.rounds)]
        print_table(rounds)
        if {"sequential Wanda", PEER_TASKS["wanda"]} <= {*tasks}:
            print(f"\nequal mask bits, sequential Wanda and llm-compressor: {work.agreement():.4%}")
        if {"SparseGPT", PEER_TASKS["sparsegpt"]} <= {*tasks}:
            print_errors(work.errors())


class Products:
    """Sums of the products of all pairs of input features, float64."""

    def __init__(self, features: int, device: torch.device) -> None:
        self.sums = torch.zeros(features, features, dtype=torch.float64, device=device)

    def add_inputs(self, inputs: Tensor) -> None:
        flat = inputs.reshape(-1, len(self.sums)).double()
        self.sums.addmm_(flat.T, flat)


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
        return self._mask(options, allocation, "--calibration", self.calibration, made="wanda")

    def sparsegpt(self) -> Cost:
        allocation = self._allocate({"kind": "uniform"}, PEER_SPARSITY)[0]
        files = ("--calibration", self.calibration)
        return self._mask(SPARSEGPT, allocation, *files, made="sparsegpt")

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

    def peer(self, python: Path, method: str) -> Cost:
        script = PROJECT / "benchmarks/peer_pruning.py"
        output = self.scratch / f"peer-{method}.safetensors"
        arguments = [method, self.model, self.calibration, PEER_SPARSITY, self.threads, output]
        return run([python, script, *arguments])

    def agreement(self) -> float:
        """The share of weights that sequential Wanda and the peer treat alike."""
        files = ("wanda-mask", "peer-wanda")
        masks = [load_file(self.scratch / f"{name}.safetensors") for name in files]
        equal = total = 0
        for linear in checkpoints.linears(checkpoints.open_checkpoint(self.model)):
            ours, theirs = (
                np.unpackbits(mask[linear.name].numpy(), count=linear.weights) for mask in masks
            )
            equal += int((ours == theirs).sum())
            total += linear.weights
        return equal / total

    @torch.no_grad()
    def errors(self) -> dict[str, tuple[float, float]]:
        """What every linear puts out wrongly by SparseGPT, ours and the peer's.

        The sum of squares over that of the dense outputs, where the tokens go through the dense
        model.
        """
        made = [open_tensors(self.scratch / f"{name}.safetensors") for name in ERRORS_OF]
        checkpoint = checkpoints.open_checkpoint(self.model)
        members, decoder = checkpoints.linears(checkpoint), blocks.open_decoder(checkpoint)
        ids = load_file(self.calibration)["input_ids"]
        spans = blocks.sample_spans(len(ids), blocks.samples_per_batch(ids.shape[1]))
        hidden, calls = blocks.embed_all(decoder, ids, spans)
        found = {}
        for index in range(checkpoint.blocks):
            block = blocks.load_block(decoder, index)
            here = {x.module: x.name for x in members if x.block == index}
            with watched(block, tuple(here), sums=Products) as seen:
                for span in spans:
                    before = hidden[span]
                    hidden[span] = blocks.run_block(block, before, calls[len(before)][index])
            for module, name in here.items():
                dense, sums = block.get_submodule(module).weight.double(), seen[module].sums
                whole = ((dense @ sums) * dense).sum()
                lost = [read_tensor(file, name).double() - dense for file in made]
                found[name] = tuple(float(((x @ sums) * x).sum() / whole) for x in lost)
        return found

    def _allocate(self, kind: dict, sparsity: float, *files: object) -> tuple[Path, Cost]:
        output = self.scratch / "allocation.json"
        options = {"allocation": kind, "sparsity": sparsity}
        cost = stage(
            "allocation.allocate_sparsity",
            *("--model", self.model, "--options", json.dumps(options)),
            *(*files, "--output", output),
        )
        return output, cost

    def _mask(self, options: dict, allocation: Path, *files: object, made: str = "other") -> Cost:
        return stage(
            "masking.build_mask",
            *("--model", self.model, "--options", json.dumps(options), "--allocation", allocation),
            *(*files, "--threads", self.threads),
            *("--mask", self.scratch / f"{made}-mask.safetensors"),
            *("--weights", self.scratch / f"{made}-weights.safetensors"),
            *("--record", self.scratch / f"{made}-mask.json"),
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


def print_errors(errors: dict[str, tuple[float, float]]) -> None:
    """Ours over theirs, of all linears of a role: the mean, the least and the most."""
    roles: dict[str, list[float]] = {}
    for name, (ours, theirs) in errors.items():
        roles.setdefault(name.split(".")[-2], []).append(ours / theirs)
    print("\n| linears | reconstruction error, SparseGPT over llm-compressor's (least to most) |")
    print("|:--|--:|")
    for role, ratios in (roles | {"all": [x for found in roles.values() for x in found]}).items():
        span = f"{min(ratios):.4f} to {max(ratios):.4f}"
        print(f"| {role} | {statistics.mean(ratios):.4f} ({span}) |")


def print_table(rounds: Sequence[dict[str, Cost]]) -> None:
    """Medians over the rounds; a ratio is that of two tasks of the same round."""
    floor = next(iter(rounds[0]))
    print("| task | seconds | peak MiB | ratio to the floor (least to most) | processor time |")
    print("|:--|--:|--:|--:|--:|")
    for task in rounds[0]:
        seconds = statistics.median(costs[task].seconds for costs in rounds)
        peak = max(costs[task].peak_mib for costs in rounds)
        ratios = sorted(costs[task].seconds / costs[floor].seconds for costs in rounds)
        worked = statistics.median(
            costs[task].processor / costs[floor].processor for costs in rounds
        )
        span = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(f"| {task} | {seconds:.1f} | {peak:.0f} | {span} | {worked:.2f} |")


if __name__ == "__main__":
    main()
