"""Give every linear of a model its sparsity.

    python -m workflow_scripts.allocation.allocate_sparsity --model resources/models/reasoner \\
        --options '{"allocation": {"kind": "owl", "calibration": "chains"}, "sparsity": 0.2}' \\
        --statistics results/reasoner/statistics/chains.safetensors \\
        --output results/reasoner/wanda-owl-20/allocation.json

The sparsity is the mean over the linears in scope, weighted by their numbers of weights. Linears
outside the scope have no part in it and keep every weight.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_scripts.allocation.layerif import layerif_sparsities
from workflow_scripts.artefacts.allocations import in_scope, write_allocation
from workflow_scripts.artefacts.influence_scores import read_influence
from workflow_scripts.config.allocations import AllocationKind
from workflow_scripts.config.entry import parser_of, plain
from workflow_scripts.config.methods import Share
from workflow_scripts.config.places import check_given
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import Checkpoint, Linear

if TYPE_CHECKING:
    from workflow_scripts.artefacts.statistics import Statistics


@dataclass(frozen=True)
class Request:
    """What an allocation may look at; `target` is the mean sparsity of `linears`, those in scope.

    Files that the allocation does not need are None. `influence` has the scores of every block.
    """

    checkpoint: Checkpoint
    linears: Sequence[Linear]
    target: float
    options: AllocationKind
    statistics: "Statistics | None"
    influence: Sequence[Mapping[str, float]] | None


def uniform(request: Request) -> dict[str, float]:
    """The same sparsity for every linear."""
    return {linear.name: request.target for linear in request.linears}


def owl(request: Request) -> dict[str, float]:
    """One sparsity for all linears of a block, the lower the more outlier weights they have."""
    from workflow_scripts.allocation.owl import outlier_percentages, owl_sparsities

    options = request.options
    blocks = sorted({linear.block for linear in request.linears})
    weights = dict.fromkeys(blocks, 0)
    for linear in request.linears:
        weights[linear.block] += linear.weights
    squares = request.statistics.sum_squares
    outliers = outlier_percentages(request.checkpoint, request.linears, squares, options.threshold)
    found = owl_sparsities(
        outliers, list(weights.values()), request.target, options.spread, options.floor
    )
    by_block = dict(zip(blocks, found, strict=True))
    return {linear.name: by_block[linear.block] for linear in request.linears}


def layerif(request: Request) -> dict[str, float]:
    """Sparsities from influence scores, block by block; attention and MLP apart or together."""
    return layerif_sparsities(request.options, request.linears, request.influence, request.target)


DIVIDE: dict[str, Callable[[Request], dict[str, float]]] = {
    "uniform": uniform,
    "owl": owl,
    "layerif": layerif,
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--options", required=True, help="JSON: allocation, sparsity, scope")
    parser.add_argument("--statistics", type=Path)
    parser.add_argument("--influence", type=Path, help="scores of the blocks")
    parser.add_argument("--threads", type=int, default=1, help="numeric threads")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args(argv)
    share: Share = parser_of(Share)(arguments.options)
    allocation, kind = share.allocation, share.allocation.kind
    check_given(allocation, arguments)
    digest = checkpoints.model_digest(arguments.model)
    checkpoint = checkpoints.open_checkpoint(arguments.model)
    linears = checkpoints.linears(checkpoint)
    statistics = influence = None
    if arguments.statistics:
        # torch takes longer to import than sparsities to divide that need none
        import torch

        from workflow_scripts.artefacts.statistics import read_statistics

        torch.set_num_threads(arguments.threads)
        statistics = read_statistics(arguments.statistics, linears, digest)
    if arguments.influence:
        influence = read_influence(arguments.influence, checkpoint.blocks, digest)
    inside = in_scope(linears, share.scope)
    request = Request(checkpoint, inside, share.sparsity, allocation, statistics, influence)
    write_allocation(
        arguments.output,
        DIVIDE[kind](request),
        linears,
        kind,
        plain(allocation, exclude={"kind"}),
        share.sparsity,
        digest,
        share.scope,
    )


if __name__ == "__main__":
    run_stage(main)
