"""Build the mask of one variant: which weights and which blocks it removes.

    python -m workflow_scripts.masking.build_mask --model resources/models/reasoner \\
        --options '{"method": "wanda"}' --allocation results/reasoner/wanda-20/allocation.json \\
        --statistics results/reasoner/statistics/chains.safetensors --threads 1 \\
        --mask results/reasoner/wanda-20/mask.safetensors \\
        --weights results/reasoner/wanda-20/weights.safetensors \\
        --record results/reasoner/wanda-20/mask.json

Counts are the nearest whole number to sparsity times weights: per linear for magnitude, per output
row for Wanda. Among equal scores the weight that comes first, row by row, is pruned first. Only the
linears in the allocation's scope have a mask.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workflow_scripts.artefacts.allocations import Allocation, read_allocation
from workflow_scripts.artefacts.calibration_sets import read_calibration_set
from workflow_scripts.artefacts.masks import Plan, PrunedLinear, VariantFiles, write_pruned
from workflow_scripts.artefacts.statistics import Statistics, read_statistics
from workflow_scripts.errors import InputError
from workflow_scripts.jobs.gpus import take_gpus
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.masking.kernels import magnitude_scores, wanda_scores
from workflow_scripts.masking.selection import (
    keep_selected,
    magnitude_selection,
    wanda_selection,
)
from workflow_scripts.masking.whole_blocks import last_blocks, least_influential, listed_blocks
from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import Checkpoint, Linear

FILES = ("allocation", "statistics", "calibration")
# options that are one of a few words; the first is the default
CHOICES = {
    "comparison": ("row", "matrix"),
    "propagate": ("dense", "pruned"),
    "selection": ("exact", "paper"),
}


@dataclass(frozen=True)
class Inputs:
    """What a method works from. Those of the files that the method has no use for are None.

    `calibration` holds token ids, (samples, length); `device` is where the model runs on them.
    """

    checkpoint: Checkpoint
    linears: Sequence[Linear]
    options: Mapping[str, Any]
    allocation: Allocation | None
    statistics: Statistics | None
    calibration: Tensor | None
    device: str = "cpu"


@dataclass(frozen=True)
class Method:
    """A pruning method: how it plans a mask, the options it has and the files it needs for them."""

    plan: Callable[[Inputs], Plan]
    needs: Callable[[Mapping[str, Any]], tuple[str, ...]]
    options: tuple[str, ...] = ()


def dense(inputs: Inputs) -> Plan:
    """Remove nothing."""
    return Plan()


def magnitude(inputs: Inputs) -> Plan:
    """Prune the weights of least absolute value, compared within each linear."""
    selection = magnitude_selection(inputs.options, inputs.allocation)

    def keep(linear: Linear, weight: Tensor) -> Tensor:
        sparsity = inputs.allocation.sparsities[linear.name]
        return keep_selected(selection, linear, magnitude_scores(weight), sparsity)

    return _one_by_one(inputs, keep)


def wanda(inputs: Inputs) -> Plan:
    """Prune the weights of least |W_ij| * ||X_j||, compared within each output row (Wanda).

    X comes from the dense model where `propagate` is dense, so that no forward pass is needed here.
    Where it is pruned, as in the original algorithm, every block sees what the pruned ones before
    it hand down.
    """
    selection = wanda_selection(inputs.options, inputs.allocation)
    requested = inputs.allocation.sparsities

    def keep(linear: Linear, weight: Tensor, sum_squares: Tensor) -> Tensor:
        scores = wanda_scores(weight, sum_squares)
        return keep_selected(selection, linear, scores, requested[linear.name])

    if inputs.options["propagate"] == "dense":
        squares = inputs.statistics.sum_squares
        return _one_by_one(
            inputs, lambda linear, weight: keep(linear, weight, squares[linear.name])
        )
    if inputs.device == "cuda":
        take_gpus(1, "pruning.device")
    # transformers takes longer to import than any other mask to build
    from workflow_scripts.masking.propagation import keep_in_sequence

    linears = [linear for linear in inputs.linears if linear.name in requested]
    keeps = keep_in_sequence(inputs.checkpoint, linears, inputs.calibration, keep, inputs.device)
    return Plan(requested=requested, linears=keeps)


def _one_by_one(inputs: Inputs, keep: Callable[[Linear, Tensor], Tensor]) -> Plan:
    """A mask of the linears in scope that depends on no other linear's mask."""

    def keeps() -> Iterator[PrunedLinear]:
        for linear in inputs.linears:
            if linear.name in inputs.allocation.sparsities:
                weight = checkpoints.load_tensor(inputs.checkpoint, linear.name)
                yield PrunedLinear(linear.name, keep(linear, weight))

    return Plan(requested=inputs.allocation.sparsities, linears=keeps())


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


def needs(*files: str) -> Callable[[Mapping[str, Any]], tuple[str, ...]]:
    """The same files whatever the options are."""
    return lambda options: files


def wanda_needs(options: Mapping[str, Any]) -> tuple[str, ...]:
    source = "statistics" if options["propagate"] == "dense" else "calibration"
    return ("allocation", source)


METHODS = {
    "dense": Method(dense, needs()),
    "magnitude": Method(magnitude, needs("allocation"), ("pattern", "selection")),
    "wanda": Method(wanda, wanda_needs, ("comparison", "propagate", "pattern", "selection")),
    "shortgpt": Method(shortgpt, needs("statistics"), ("remove_blocks",)),
    "reverse-order": Method(reverse_order, needs(), ("remove_blocks",)),
    "blocks": Method(blocks_listed, needs(), ("blocks",)),
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--options", required=True, type=json.loads, help="JSON: method, options")
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
    options = dict(arguments.options)
    name = options.pop("method", None)
    method = find_method(name)
    options = complete_options(name, method, options)
    given = {file: path for file in FILES if (path := getattr(arguments, file))}
    check_files(name, method, options, given)
    digest = checkpoints.model_digest(arguments.model)
    checkpoint = checkpoints.open_checkpoint(arguments.model)
    linears = checkpoints.linears(checkpoint)
    allocation = statistics = calibration = None
    if "allocation" in given:
        allocation = read_allocation(given["allocation"], linears, digest)
    if "statistics" in given:
        statistics = read_statistics(given["statistics"], linears, digest)
    if "calibration" in given:
        calibration = read_calibration_set(given["calibration"], digest)
    inputs = Inputs(
        checkpoint, linears, options, allocation, statistics, calibration, arguments.device
    )
    files = VariantFiles(arguments.mask, arguments.weights, arguments.record)
    write_pruned(files, method.plan(inputs), checkpoint, digest, name, options)


def find_method(name: Any) -> Method:
    """The method of that name. Raises `InputError` where there is none."""
    if not isinstance(name, str) or name not in METHODS:
        raise InputError(f"method {name!r} is unknown; known: {', '.join(METHODS)}")
    return METHODS[name]


def complete_options(name: str, method: Method, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a method with the defaults of those left out.

    Raises `InputError` for an option that the method does not have and for a choice that it has
    not.
    """
    for option in options:
        if option not in method.options:
            known = ", ".join(method.options) or "none"
            raise InputError(f"method {name} has no option {option!r}; allowed: {known}")
    defaults = {option: CHOICES[option][0] for option in method.options if option in CHOICES}
    complete = {**defaults, **options}
    for option in defaults:
        if complete[option] not in CHOICES[option]:
            choices = " or ".join(CHOICES[option])
            raise InputError(f"{option} is {complete[option]!r}; it can be {choices}")
    return complete


def check_files(
    name: str, method: Method, options: Mapping[str, Any], given: Mapping[str, Path]
) -> None:
    """Raise `InputError` where a file is missing or the method has no use for it."""
    needed = method.needs(options)
    for file in sorted(set(given).symmetric_difference(needed)):
        wanted = "needs" if file in needed else "has no use for"
        raise InputError(f"method {name} {wanted} --{file}")


if __name__ == "__main__":
    run_stage(main)
