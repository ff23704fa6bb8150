"""Collect every statistic that the pruning methods need, in one pass over a calibration set.

    python -m workflow_scripts.calibration.collect_statistics --model resources/models/reasoner \\
        --calibration resources/calibration/reasoner/chains.safetensors --threads 1 \\
        --output results/reasoner/statistics/chains.safetensors

The model streams through memory block by block, in fp32; the hidden states of the whole set stay.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from workflow_scripts import blocks, checkpoints
from workflow_scripts.activation_statistics import (
    InputSums,
    Statistics,
    token_influence,
    watched,
    write_statistics,
)
from workflow_scripts.blocks import Call, Decoder
from workflow_scripts.digests import file_digest
from workflow_scripts.errors import InputError, run_stage
from workflow_scripts.tensor_files import open_tensors
from workflow_scripts.tensors import read_tensor

MODULES = tuple(module for _, module in checkpoints.ROLES.values())
BATCH_TOKENS = 2048  # enough for full-speed matrix products, few enough for any machine


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--calibration", required=True, type=Path)
    parser.add_argument("--threads", type=int, default=1, help="numeric threads")
    parser.add_argument("--output", required=True, type=Path)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    digest = checkpoints.model_digest(options.model)
    input_ids = read_calibration_set(options.calibration, digest)
    decoder = blocks.open_decoder(checkpoints.open_checkpoint(options.model))
    batch = max(1, BATCH_TOKENS // input_ids.shape[1])
    statistics = collect(decoder, input_ids, batch)
    write_statistics(options.output, statistics, digest, file_digest(options.calibration))


def read_calibration_set(path: Path, model_digest: str) -> Tensor:
    """Token ids of shape (samples, length). Raises `InputError` where they are another model's."""
    file = open_tensors(path)
    made_for = file.metadata.get("model_digest")
    if made_for != model_digest:
        raise InputError(
            f"{path}: calibration set of another model (digest {made_for}, this model's is "
            f"{model_digest})"
        )
    input_ids = read_tensor(file, "input_ids")
    if input_ids.dtype != torch.int32 or input_ids.ndim != 2 or not input_ids.numel():
        raise InputError(f"{path}: input_ids is not an int32 tensor of shape (samples, length)")
    return input_ids


@torch.no_grad()
def collect(decoder: Decoder, input_ids: Tensor, batch: int) -> Statistics:
    """Statistics of a model over token ids of shape (samples, length).

    `batch` samples go through a block at a time; it bounds memory and does not matter to the
    result: sums are taken over tokens, in float64. Raises `InputError` naming the linear or block
    where activations are not finite, or where a hidden state is zero and has no direction.
    """
    spans = [slice(start, start + batch) for start in range(0, len(input_ids), batch)]
    hidden, calls = embed_all(decoder, input_ids, spans)
    sums: dict[str, InputSums] = {}
    influence = []
    for index in range(decoder.checkpoint.blocks):
        block = blocks.load_block(decoder, index)
        total = 0.0
        with watched(block, MODULES) as seen:
            for span in spans:
                before = hidden[span]
                after = blocks.run_block(block, before, calls[len(before)][index])
                changes = token_influence(before, after)
                if not changes.isfinite().all():
                    raise _undefined(changes, before, after, index, span.start)
                total += changes.sum(dtype=torch.float64).item()
                hidden[span] = after
        influence.append(total / input_ids.numel())
        prefix = checkpoints.block_prefix(index)
        sums |= {f"{prefix}{module}.weight": found for module, found in seen.items()}
    return Statistics(
        sum_squares={name: _fp32(found.sum_squares, name) for name, found in sums.items()},
        sums={name: _fp32(found.sum, name) for name, found in sums.items()},
        tokens={name: found.tokens for name, found in sums.items()},
        block_influence=torch.tensor(influence, dtype=torch.float32),
    )


def embed_all(
    decoder: Decoder, input_ids: Tensor, spans: Sequence[slice]
) -> tuple[Tensor, dict[int, tuple[Call, ...]]]:
    """What enters block 0, (samples, length, hidden), and the calls by number of samples.

    The last span may hold fewer samples than the others, and calls differ with the number.
    """
    first, calls = blocks.embed(decoder, input_ids[spans[0]])
    hidden = first.new_empty(*input_ids.shape, first.shape[-1])
    hidden[spans[0]] = first
    by_samples = {len(first): calls}
    for span in spans[1:]:
        hidden[span], calls = blocks.embed(decoder, input_ids[span])
        by_samples.setdefault(len(hidden[span]), calls)
    return hidden, by_samples


def _fp32(total: Tensor, name: str) -> Tensor:
    narrow = total.float()
    if not narrow.isfinite().all():
        raise InputError(f"the activations that enter {name} are not finite")
    return narrow


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
