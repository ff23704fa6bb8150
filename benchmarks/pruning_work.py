"""Stages of pruning over one model and one set of token ids, each run and weighed on its own."""

import itertools
import json
from pathlib import Path

import torch

from benchmarks.processes import Cost, stage
from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.methods import Variant
from workflow_scripts.models import checkpoints
from workflow_scripts.models.tensors import save_tensors

VARIANTS_SPARSITIES = (0.1, 0.2)
UNIFORM = {"kind": "uniform"}
OWL = {"kind": "owl", "calibration": "ids"}
LAYERIF = {"kind": "layerif", "influence": "made-up"}
SPARSITY = 0.5  # of single weights; llm-compressor's as well
STRUCTURED = 0.2  # of heads and neurons, or of the width of hidden states


class Work:
    """A model, token ids for it, and a folder for what stages make of them."""

    def __init__(self, model: Path, scratch: Path, threads: int) -> None:
        self.model, self.scratch, self.threads = model, scratch, threads
        self.calibration = scratch / "calibration.safetensors"
        self.statistics = scratch / "statistics.safetensors"
        self.influence = scratch / "influence.json"
        self.allocation = scratch / "allocation.json"

    def collect(self) -> Cost:
        """The statistics pass."""
        return stage(
            "calibration.collect_statistics",
            *("--model", self.model, "--calibration", self.calibration),
            *("--threads", self.threads, "--output", self.statistics),
        )

    def allocate(self, output: Path, kind: dict[str, str], sparsity: float, *files: object) -> Cost:
        options = {"allocation": kind, "sparsity": sparsity}
        return stage(
            "allocation.allocate_sparsity",
            *("--model", self.model, "--options", json.dumps(options)),
            *(*files, "--output", output),
        )

    def mask(self, variant: dict[str, object], made: str, allocation: Path | None = None) -> Cost:
        """The mask of a variant, with `made` in front of the names of its files.

        It takes what it is made from of the files here; another allocation may be given.
        """
        files = {
            "allocation": allocation or self.allocation,
            "calibration": self.calibration,
            "statistics": self.statistics,
        }
        flags = parser_of(Variant)(json.dumps(variant)).files()
        given = [part for flag in flags for part in (f"--{flag}", files[flag])]
        return stage(
            "masking.build_mask",
            *("--model", self.model, "--options", json.dumps(variant), *given),
            *("--threads", self.threads),
            *("--mask", self.scratch / f"{made}-mask.safetensors"),
            *("--weights", self.scratch / f"{made}-weights.safetensors"),
            *("--record", self.scratch / f"{made}-mask.json"),
        )

    def all_variants(self) -> Cost:
        """Statistics and the 12 unstructured variants of arXiv 2604.25098."""
        allocations = (
            (UNIFORM, []),
            (OWL, ["--statistics", self.statistics]),
            (LAYERIF, ["--influence", self.influence]),
        )
        total, own = self.collect(), self.scratch / "own-allocation.json"
        for (kind, files), sparsity in itertools.product(allocations, VARIANTS_SPARSITIES):
            total += self.allocate(own, kind, sparsity, *files)
            for variant in ({"method": "magnitude"}, {"method": "wanda", "calibration": "ids"}):
                total += self.mask(variant | {"sparsity": sparsity}, "other", own)
        return total


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


def unstructured(method: str, **keys: object) -> dict[str, object]:
    return {"method": method, "sparsity": SPARSITY, "calibration": "ids", **keys}


def variants(remove_blocks: int) -> dict[str, dict[str, object]]:
    """A variant of every method that costs something, by the name of its task."""
    data = {"calibration": "ids"}
    width = data | {"sparsity": STRUCTURED}
    depth = {"remove_blocks": remove_blocks}
    anywhere = depth | {"plus": False}  # in models of few blocks too
    return {
        "wanda": unstructured("wanda"),
        "wanda-sequential": unstructured("wanda", propagate="pruned"),
        "sparsegpt": unstructured("sparsegpt"),
        "wanda-sp": {"method": "wanda-sp"} | width,
        "flap": {"method": "flap"} | width,
        "llm-pruner": {"method": "llm-pruner"} | width,
        "shortened-magnitude": {"method": "shortened-magnitude"} | anywhere,
        "shortened-taylor": {"method": "shortened-taylor"} | data | anywhere,
        "shortened-ppl": {"method": "shortened-ppl"} | data | anywhere,
        "sleb": {"method": "sleb"} | data | depth,
        "slicegpt": {"method": "slicegpt", "slicing": STRUCTURED} | data,
    }
