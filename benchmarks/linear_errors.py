"""How two prunings of the same model compare: equal bits of masks, errors of linears' outputs."""

import statistics
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from workflow_scripts.models import blocks, checkpoints
from workflow_scripts.models.activations import watched
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import read_tensor


class Products:
    """Sums of the products of all pairs of input features, float64."""

    def __init__(self, features: int, device: torch.device) -> None:
        self.sums = torch.zeros(features, features, dtype=torch.float64, device=device)

    def add_inputs(self, inputs: Tensor) -> None:
        flat = inputs.reshape(-1, len(self.sums)).double()
        self.sums.addmm_(flat.T, flat)


def agreement(model: Path, one: Path, other: Path) -> float:
    """The share of weights that two files of masks treat alike."""
    masks = [load_file(file) for file in (one, other)]
    equal = total = 0
    for linear in checkpoints.linears(checkpoints.open_checkpoint(model)):
        first, second = (
            np.unpackbits(mask[linear.name].numpy(), count=linear.weights) for mask in masks
        )
        equal += int((first == second).sum())
        total += linear.weights
    return equal / total


@torch.no_grad()
def linear_errors(
    model: Path, calibration: Path, one: Path, other: Path
) -> dict[str, tuple[float, float]]:
    """What every linear puts out wrongly by the weights of two files.

    The sum of squares over that of the dense outputs, where the tokens go through the dense model.
    """
    made = [open_tensors(file) for file in (one, other)]
    checkpoint = checkpoints.open_checkpoint(model)
    members, decoder = checkpoints.linears(checkpoint), blocks.open_decoder(checkpoint)
    ids = load_file(calibration)["input_ids"]
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
