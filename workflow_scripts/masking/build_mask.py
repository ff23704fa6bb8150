"""Build the mask of one variant: which weights and which blocks it removes.

    python -m workflow_scripts.masking.build_mask --model resources/models/reasoner \\
        --options '{"method": "wanda", "sparsity": 0.2, "calibration": "chains"}' \\
        --allocation results/reasoner/wanda-20/allocation.json \\
        --statistics results/reasoner/statistics/chains.safetensors --threads 1 \\
        --mask results/reasoner/wanda-20/mask.safetensors \\
        --weights results/reasoner/wanda-20/weights.safetensors \\
        --record results/reasoner/wanda-20/mask.json

A method is a module of `masking.methods` whose `plan` says from `Inputs` which weights go, which
whole blocks, and what changes of the rest. Linears that it leaves alone have no mask. A variant
`after` another one goes on from what that made of the model: --pruned-mask, --pruned-weights,
--pruned-record.
"""

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch

from workflow_scripts.artefacts.allocations import read_allocation
from workflow_scripts.artefacts.calibration_sets import read_calibration_set
from workflow_scripts.artefacts.masks import VariantFiles, read_pruned, write_pruned
from workflow_scripts.artefacts.pruned_checkpoints import note_export
from workflow_scripts.artefacts.rows_done import RowsDone, request_of
from workflow_scripts.artefacts.statistics import read_statistics
from workflow_scripts.config.entry import check_blocks, parser_of, plain
from workflow_scripts.config.methods import Variant
from workflow_scripts.config.methods.base import Method
from workflow_scripts.config.places import check_given
from workflow_scripts.errors import InputError
from workflow_scripts.jobs.gpus import take_gpus
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.masking.going_on import going_on, joined
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.masking.methods import module_of
from workflow_scripts.models import checkpoints

STAGE = "masking.build_mask"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--options", required=True, help="the variant's entry, JSON")
    parser.add_argument("--allocation", type=Path)
    parser.add_argument("--statistics", type=Path)
    parser.add_argument("--calibration", type=Path, help="where blocks are pruned in sequence")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="numeric threads")
    for kind in VariantFiles._fields:
        parser.add_argument(f"--pruned-{kind}", type=Path, help="for a variant after another")
    parser.add_argument("--mask", required=True, type=Path)
    parser.add_argument("--weights", required=True, type=Path)
    parser.add_argument("--record", required=True, type=Path)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    variant: Method = parser_of(Variant)(arguments.options)
    check_given(variant, arguments)
    if arguments.device == "cuda":
        take_gpus(1, "pruning.device")
    digest = checkpoints.model_digest(arguments.model)
    checkpoint = checkpoints.open_checkpoint(arguments.model)
    check_blocks(variant, checkpoint.blocks)
    linears = checkpoints.linears(checkpoint)
    allocation = statistics = calibration = None
    if arguments.allocation:
        allocation = read_allocation(arguments.allocation, linears, digest)
    if arguments.statistics:
        statistics = read_statistics(arguments.statistics, linears, digest)
    if arguments.calibration:
        calibration = read_calibration_set(arguments.calibration, digest)
    module, device = module_of(variant.method), arguments.device
    given = [getattr(arguments, flag) for flag in variant.files()]
    before = [getattr(arguments, flag.replace("-", "_")) for flag in variant.start_files()]
    if None in before:
        raise InputError("--pruned-mask is missing, or -weights or -record; after goes on from it")
    start = read_pruned(VariantFiles(*before), digest) if before else None
    done = RowsDone(
        arguments.mask, request_of(digest, plain(variant), [*given, *before], device, STAGE, module)
    )
    inputs = Inputs(checkpoint, linears, variant, allocation, statistics, calibration, device, done)
    files = VariantFiles(arguments.mask, arguments.weights, arguments.record)
    method = import_module(f"workflow_scripts.{module}")
    requested = variant.requested(checkpoint.blocks)
    own = variant.own() | ({"after": start.digest} if start else {})
    with going_on(inputs, start, files.mask) as inputs:
        plan = method.plan(inputs) if start is None else joined(method.plan(inputs), start)
        write_pruned(files, plan, checkpoint, digest, variant.method, own, requested)
    note_export(files, checkpoint)
    done.forget()


if __name__ == "__main__":
    run_stage(main)
