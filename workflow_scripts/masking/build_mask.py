"""Build the mask of one variant: which weights and which blocks it removes.

    python -m workflow_scripts.masking.build_mask --model resources/models/reasoner \\
        --options '{"method": "wanda"}' --allocation results/reasoner/wanda-20/allocation.json \\
        --statistics results/reasoner/statistics/chains.safetensors --threads 1 \\
        --mask results/reasoner/wanda-20/mask.safetensors \\
        --record results/reasoner/wanda-20/mask.json

Counts are the nearest whole number to sparsity times weights: per linear for magnitude, per output
row for Wanda. Among equal scores the weight that comes first, row by row, is pruned first.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workflow_scripts import checkpoints
from workflow_scripts.activation_statistics import Statistics, read_statistics
from workflow_scripts.allocations import pruned_count, read_allocation
from workflow_scripts.checkpoints import Checkpoint, Linear
from workflow_scripts.errors import InputError, run_stage
from workflow_scripts.masking.kernels import keep_largest, magnitude_scores, wanda_scores
from workflow_scripts.masks import MaskPlan, write_mask


@dataclass(frozen=True)
class Inputs:
    """What a method works from. Allocation and statistics are set where the method needs them."""

    checkpoint: Checkpoint
    linears: Sequence[Linear]
    options: Mapping[str, Any]
    allocation: Mapping[str, float] | None
    statistics: Statistics | None


@dataclass(frozen=True)
class Method:
    """A pruning method: what it needs, the options it has, and how it plans a mask."""

    plan: Callable[[Inputs], MaskPlan]
    needs: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def dense(inputs: Inputs) -> MaskPlan:
    """Remove nothing."""
    return MaskPlan()


def magnitude(inputs: Inputs) -> MaskPlan:
    """Prune the weights of least absolute value, compared within each linear."""

    def keep(linear: Linear, weight: Tensor, sparsity: float) -> Tensor:
        scores = magnitude_scores(weight).reshape(1, -1)
        return keep_largest(scores, pruned_count(sparsity, linear.weights)).reshape(linear.shape)

    return _unstructured(inputs, keep)


def wanda(inputs: Inputs) -> MaskPlan:
    """Prune the weights of least |W_ij| * ||X_j||, compared within each output row (Wanda)."""

    def keep(linear: Linear, weight: Tensor, sparsity: float) -> Tensor:
        scores = wanda_scores(weight, inputs.statistics.sum_squares[linear.name])
        return keep_largest(scores, pruned_count(sparsity, linear.shape[1]))

    return _unstructured(inputs, keep)


def _unstructured(inputs: Inputs, keep: Callable[[Linear, Tensor, float], Tensor]) -> MaskPlan:
    def keeps() -> Iterator[tuple[str, Tensor]]:
        for linear in inputs.linears:
            weight = checkpoints.load_tensor(inputs.checkpoint, linear.name)
            yield linear.name, keep(linear, weight, inputs.allocation[linear.name])

    return MaskPlan(requested=inputs.allocation, keeps=keeps())


def shortgpt(inputs: Inputs) -> MaskPlan:
    """Remove the `remove_blocks` blocks of lowest Block Influence; of equal ones the earlier.

    All are scored once, on the dense model (ShortGPT, arXiv 2403.03853).
    """
    count, blocks = inputs.options.get("remove_blocks"), inputs.checkpoint.blocks
    if type(count) is not int or not 1 <= count < blocks:
        raise InputError(
            f"remove_blocks is {count!r}: of {blocks} blocks, 1 to {blocks - 1} can be removed"
        )
    order = torch.argsort(inputs.statistics.block_influence, stable=True)
    return MaskPlan(removed_blocks=tuple(sorted(order[:count].tolist())))


METHODS = {
    "dense": Method(dense),
    "magnitude": Method(magnitude, needs=("allocation",)),
    "wanda": Method(wanda, needs=("allocation", "statistics")),
    "shortgpt": Method(shortgpt, needs=("statistics",), options=("remove_blocks",)),
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--options", required=True, type=json.loads, help="JSON: method, options")
    parser.add_argument("--allocation", type=Path)
    parser.add_argument("--statistics", type=Path)
    parser.add_argument("--threads", type=int, default=1, help="numeric threads")
    parser.add_argument("--mask", required=True, type=Path)
    parser.add_argument("--record", required=True, type=Path)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    options = dict(arguments.options)
    name = options.pop("method", None)
    given = {name for name in ("allocation", "statistics") if getattr(arguments, name)}
    method = find_method(name, options, given)
    digest = checkpoints.model_digest(arguments.model)
    checkpoint = checkpoints.open_checkpoint(arguments.model)
    linears = checkpoints.linears(checkpoint)
    allocation = statistics = None
    if arguments.allocation:
        allocation = read_allocation(arguments.allocation, linears, digest)
    if arguments.statistics:
        statistics = read_statistics(arguments.statistics, linears, digest)
    plan = method.plan(Inputs(checkpoint, linears, options, allocation, statistics))
    write_mask(arguments.mask, arguments.record, plan, linears, digest, name, options)


def find_method(name: Any, options: Mapping[str, Any], given: set[str]) -> Method:
    """The method of that name.

    Raises `InputError` for an unknown method or option, and for an input that is missing or that
    the method has no use for.
    """
    if name not in METHODS:
        raise InputError(f"method {name!r} is unknown; known: {', '.join(METHODS)}")
    method = METHODS[name]
    for option in options:
        if option not in method.options:
            known = ", ".join(method.options) or "none"
            raise InputError(f"method {name} has no option {option!r}; allowed: {known}")
    for needed in sorted(given.symmetric_difference(method.needs)):
        wanted = "needs" if needed in method.needs else "has no use for"
        raise InputError(f"method {name} {wanted} --{needed}")
    return method


if __name__ == "__main__":
    run_stage(main)
