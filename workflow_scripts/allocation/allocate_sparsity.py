"""Give every linear of a model its sparsity.

    python -m workflow_scripts.allocation.allocate_sparsity --model resources/models/reasoner \\
        --options '{"allocation": {"kind": "owl", "calibration": "chains"}, "sparsity": 0.2}' \\
        --statistics results/reasoner/statistics/chains.safetensors \\
        --output results/reasoner/wanda-owl-20/allocation.json

The sparsity is the mean over the linears in scope, weighted by their numbers of weights. Linears
outside the scope have no part in it and keep every weight.

An allocation is a module of `allocation.kinds` whose `divide` makes the sparsities of a `Request`.
"""

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from workflow_scripts.allocation.kinds import module_of
from workflow_scripts.allocation.request import Request
from workflow_scripts.artefacts.allocations import in_scope, write_allocation
from workflow_scripts.artefacts.influence_scores import read_influence
from workflow_scripts.config.entry import check_blocks, parser_of, plain
from workflow_scripts.config.methods import Variant
from workflow_scripts.config.methods.base import Share
from workflow_scripts.config.places import check_given
from workflow_scripts.jobs.gpus import take_gpus
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.models import checkpoints

STAGE = "allocation.allocate_sparsity"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--options", required=True, help="JSON: allocation, sparsity, scope")
    parser.add_argument("--variant", help="JSON: its entry, for an allocation made for its method")
    parser.add_argument("--statistics", type=Path)
    parser.add_argument("--calibration", type=Path, help="for one that runs the model")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--influence", type=Path, help="scores of the blocks")
    parser.add_argument("--threads", type=int, default=1, help="numeric threads")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args(argv)
    share: Share = parser_of(Share)(arguments.options)
    allocation, kind = share.allocation, share.allocation.kind
    check_given(allocation, arguments)
    variant = parser_of(Variant)(arguments.variant) if arguments.variant else None
    if arguments.device == "cuda":
        take_gpus(1, "pruning.device")
    digest = checkpoints.model_digest(arguments.model)
    checkpoint = checkpoints.open_checkpoint(arguments.model)
    check_blocks(allocation, checkpoint.blocks)
    linears = checkpoints.linears(checkpoint)
    statistics = influence = calibration = done = None
    # torch takes longer to import than sparsities to divide that need none
    if arguments.statistics or allocation.takes_long:
        import torch

        torch.set_num_threads(arguments.threads)
    if arguments.statistics:
        from workflow_scripts.artefacts.statistics import read_statistics

        statistics = read_statistics(arguments.statistics, linears, digest)
    if arguments.calibration:
        from workflow_scripts.artefacts.calibration_sets import read_calibration_set
        from workflow_scripts.artefacts.rows_done import RowsDone, request_of

        calibration = read_calibration_set(arguments.calibration, digest)
        given = filter(None, (arguments.statistics, arguments.calibration))
        device, modules = arguments.device, (STAGE, module_of(kind))
        done = RowsDone(
            arguments.output, request_of(digest, plain(variant), given, device, *modules)
        )
    if arguments.influence:
        influence = read_influence(arguments.influence, checkpoint.blocks, digest)
    inside = in_scope(linears, share.scope)
    division = import_module(f"workflow_scripts.{module_of(kind)}")
    request = Request(
        checkpoint,
        inside,
        share.sparsity,
        allocation,
        statistics,
        influence,
        variant,
        calibration,
        arguments.device,
        done,
    )
    write_allocation(
        arguments.output,
        division.divide(request),
        linears,
        kind,
        plain(allocation, exclude={"kind"}),
        share.sparsity,
        digest,
        share.scope,
    )
    if done:
        done.forget()


if __name__ == "__main__":
    run_stage(main)
