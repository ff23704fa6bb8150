"""Collect every statistic that the pruning methods need, in one pass over a calibration set.

    python -m workflow_scripts.calibration.collect_statistics --model resources/models/reasoner \\
        --calibration resources/calibration/reasoner/chains.safetensors --threads 1 \\
        --output results/reasoner/statistics/chains.safetensors

The model streams through memory block by block, in fp32 on the CPU and in bf16 on a GPU; the hidden
states of the whole set stay.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from workflow_scripts.artefacts.calibration_sets import read_calibration_set
from workflow_scripts.artefacts.statistics import Statistics, write_statistics
from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.pruning import Pruning
from workflow_scripts.errors import InputError
from workflow_scripts.files.digests import file_digest
from workflow_scripts.jobs.gpus import take_gpus
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.models import blocks, checkpoints
from workflow_scripts.models.activations import (
    InputSums,
    finite_fp32,
    note_unreached,
    token_influence,
    watched,
)
from workflow_scripts.models.blocks import Decoder


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--calibration", required=True, type=Path)
    parser.add_argument("--options", default="{}", help="the config's pruning, as JSON")
    parser.add_argument("--threads", type=int, default=1, help="numeric threads")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args(argv)
    device = parser_of(Pruning)(arguments.options).device
    torch.set_num_threads(arguments.threads)
    if device == "cuda":
        take_gpus(1, "pruning.device")
    digest = checkpoints.model_digest(arguments.model)
    input_ids = read_calibration_set(arguments.calibration, digest)
    decoder = blocks.open_decoder(checkpoints.open_checkpoint(arguments.model), device)
    batch = blocks.samples_per_batch(input_ids.shape[1], device)
    statistics = collect(decoder, input_ids, batch)
    write_statistics(arguments.output, statistics, digest, file_digest(arguments.calibration))


@torch.no_grad()
def collect(decoder: Decoder, input_ids: Tensor, batch: int) -> Statistics:
    """Statistics of a model over token ids of shape (samples, length).

    `batch` samples go through a block at a time; it bounds memory and does not matter to the
    result: sums are taken over tokens, in float64. Raises `InputError` naming the linear or block
    where activations are not finite, or where a hidden state is zero and has no direction.
    """
    spans = blocks.sample_spans(len(input_ids), batch)
    linears = checkpoints.linears(decoder.checkpoint)
    hidden, calls = blocks.embed_all(decoder, input_ids, spans)
    sums: dict[str, InputSums] = {}
    influence = []
    for index in range(decoder.checkpoint.blocks):
        block = blocks.load_block(decoder, index)
        total = 0.0
        here = {linear.module: linear.name for linear in linears if linear.block == index}
        with watched(block, tuple(here)) as seen:
            for span in spans:
                before = hidden[span]
                after = blocks.run_block(block, before, calls[len(before)][index])
                changes = token_influence(before, after)
                if not changes.isfinite().all():
                    raise _undefined(changes, before, after, index, span.start)
                total += changes.sum(dtype=torch.float64).item()
                hidden[span] = after
        del block  # before the next one is loaded
        influence.append(total / input_ids.numel())
        sums |= {name: seen[module] for module, name in here.items()}
    tokens = {name: found.tokens for name, found in sums.items()}
    note_unreached(tokens)
    return Statistics(
        sum_squares={name: finite_fp32(found.sum_squares, name) for name, found in sums.items()},
        sums={name: finite_fp32(found.sum, name) for name, found in sums.items()},
        tokens=tokens,
        block_influence=torch.tensor(influence, dtype=torch.float32),
    )


def _undefined(
    changes: Tensor, before: Tensor, after: Tensor, block: int, first: int
) -> InputError:
    """Why the cosine of a token's hidden states before and after a block is not a number."""
    sample, token = (~changes.isfinite()).nonzero()[0].tolist()
    where = f"block {block}, sample {first + sample}, token {token}"
    if before[sample, token].any() and after[sample, token].any():
        return InputError(f"{where}: the hidden state is not finite or too large for fp32")
    return InputError(f"{where}: the hidden state is zero, Block Influence is undefined")


if __name__ == "__main__":
    run_stage(main)
