"""Build the mask of one variant: which weights and which blocks it removes.

    python -m workflow_scripts.masking.build_mask --model resources/models/reasoner \\
        --options '{"method": "wanda", "sparsity": 0.2, "calibration": "chains"}' \\
        --allocation results/reasoner/wanda-20/allocation.json \\
        --statistics results/reasoner/statistics/chains.safetensors --threads 1 \\
        --mask results/reasoner/wanda-20/mask.safetensors \\
        --weights results/reasoner/wanda-20/weights.safetensors \\
        --record results/reasoner/wanda-20/mask.json

Counts are the nearest whole number to sparsity times weights: per linear for magnitude, per output
row for Wanda and STADE. Among equal scores the weight that comes first, row by row, is pruned
first. Only the linears in the allocation's scope have a mask.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from workflow_scripts.artefacts.allocations import read_allocation
from workflow_scripts.artefacts.calibration_sets import read_calibration_set
from workflow_scripts.artefacts.masks import Plan, PrunedLinear, VariantFiles, write_pruned
from workflow_scripts.artefacts.statistics import read_statistics
from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.methods import Method, Variant
from workflow_scripts.config.places import check_given
from workflow_scripts.jobs.gpus import take_gpus
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.masking.inputs import Inputs, one_by_one
from workflow_scripts.masking.kernels import magnitude_scores, wanda_scores
from workflow_scripts.masking.selection import (
    keep_selected,
    magnitude_selection,
    row_selection,
)
from workflow_scripts.masking.stade import stade
from workflow_scripts.masking.whole_blocks import last_blocks, least_influential, listed_blocks
from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import Linear


def dense(inputs: Inputs) -> Plan:
    """Remove nothing."""
    return Plan()


def magnitude(inputs: Inputs) -> Plan:
    """Prune the weights of least absolute value, compared within each linear."""
    selection = magnitude_selection(inputs.options, inputs.allocation)

    def prune(linear: Linear, weight: Tensor) -> PrunedLinear:
        sparsity = inputs.allocation.sparsities[linear.name]
        scores = magnitude_scores(weight)
        return PrunedLinear(linear.name, keep_selected(selection, linear, scores, sparsity))

    return one_by_one(inputs, prune)


def wanda(inputs: Inputs) -> Plan:
    """Prune the weights of least |W_ij| * ||X_j||, compared within each output row (Wanda).

    X comes from the dense model where `propagate` is dense, so that no forward pass is needed here.
    Where it is pruned, as in the original algorithm, every block sees what the pruned ones before
    it hand down.
    """
    selection = row_selection(inputs.options)
    requested = inputs.allocation.sparsities

    def keep(linear: Linear, weight: Tensor, sum_squares: Tensor) -> Tensor:
        scores = wanda_scores(weight, sum_squares)
        return keep_selected(selection, linear, scores, requested[linear.name])

    if inputs.options.propagate == "dense":
        squares = inputs.statistics.sum_squares
        return one_by_one(
            inputs, lambda x, weight: PrunedLinear(x.name, keep(x, weight, squares[x.name]))
        )
    if inputs.device == "cuda":
        take_gpus(1, "pruning.device")
    # transformers takes longer to import than any other mask to build
    from workflow_scripts.masking.propagation import keep_in_sequence

    steps = keep_in_sequence(
        inputs.checkpoint, inputs.in_scope, inputs.calibration, keep, inputs.device
    )
    return Plan(requested, steps)


def shortgpt(inputs: Inputs) -> Plan:
    """Remove the blocks that change their input least."""
    removed = least_influential(inputs.options, inputs.statistics.block_influence)
    return Plan(removed_blocks=removed)


def reverse_order(inputs: Inputs) -> Plan:
    """Remove blocks from the last one down."""
    return Plan(removed_blocks=last_blocks(inputs.options, inputs.checkpoint.blocks))


def blocks_listed(inputs: Inputs) -> Plan:
    """Remove the blocks that the options list."""
    return Plan(removed_blocks=listed_blocks(inputs.options, inputs.checkpoint.blocks))


PLANS: dict[str, Callable[[Inputs], Plan]] = {
    "dense": dense,
    "magnitude": magnitude,
    "wanda": wanda,
    "stade": stade,
    "shortgpt": shortgpt,
    "reverse-order": reverse_order,
    "blocks": blocks_listed,
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--options", required=True, help="the variant's entry, JSON")
    parser.add_argument("--allocation", type=Path)
    parser.add_argument("--statistics", type=Path)
    parser.add_argument("--calibration", type=Path, help="where blocks are pruned in sequence")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="numeric threads")
    parser.add_argument("--mask", required=True, type=Path)
    parser.add_argument("--weights", required=True, type=Path)
    parser.add_argument("--record", required=True, type=Path)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    variant: Method = parser_of(Variant)(arguments.options)
    check_given(variant, arguments)
    digest = checkpoints.model_digest(arguments.model)
    checkpoint = checkpoints.open_checkpoint(arguments.model)
    linears = checkpoints.linears(checkpoint)
    allocation = statistics = calibration = None
    if arguments.allocation:
        allocation = read_allocation(arguments.allocation, linears, digest)
    if arguments.statistics:
        statistics = read_statistics(arguments.statistics, linears, digest)
    if arguments.calibration:
        calibration = read_calibration_set(arguments.calibration, digest)
    inputs = Inputs(
        checkpoint, linears, variant, allocation, statistics, calibration, arguments.device
    )
    files = VariantFiles(arguments.mask, arguments.weights, arguments.record)
    plan = PLANS[variant.method](inputs)
    write_pruned(files, plan, checkpoint, digest, variant.method, variant.own())


if __name__ == "__main__":
    run_stage(main)
