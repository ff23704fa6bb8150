"""Screen one variant: how far it is from the dense model on the dense model's own traces.

    python -m workflow_scripts.screening.screen_variant --model resources/models/reasoner \\
        --variant results/reasoner/wanda-20/{mask,weights}.safetensors \\
        results/reasoner/wanda-20/mask.json \\
        --sequences results/reasoner/calibration_traces/sequences/chains.jsonl \\
        --options '{"benchmark": "chains", "problems": 32}' --threads 1 \\
        --output results/reasoner/wanda-20/screen.json

Nothing is generated: prompt, trace and answer of the dense model are read by both models at once,
as `teacher_forcing` describes, in fp32 on the CPU and in bf16 on a GPU. Every token that the dense
model wrote counts, by its kind, those of traces and of answers apart; prompts and what a thinking
format puts in are only read. A job that was killed goes on from the sequences that it had done.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.artefacts.masks import VariantFiles, read_pruned
from workflow_scripts.artefacts.records import TokenSequence, read_records
from workflow_scripts.artefacts.rows_done import RowsDone, request_of
from workflow_scripts.artefacts.screens import Distance, Screen, write_screen
from workflow_scripts.config.entry import parser_of, plain
from workflow_scripts.config.pruning import Pruning
from workflow_scripts.config.screening import ScreenJob
from workflow_scripts.errors import InputError
from workflow_scripts.jobs.gpus import take_gpus
from workflow_scripts.jobs.progress import Progress
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.models import blocks, checkpoints
from workflow_scripts.models.token_kinds import TOKEN_KINDS, token_kinds
from workflow_scripts.models.tokenizers import load_tokenizer
from workflow_scripts.screening.teacher_forcing import (
    WALKING,
    Both,
    compared,
    last_states,
    open_both,
)

STAGE = "screening.screen_variant"
PARTS = ("trace", "answer")
SUMS = ("tokens", "kl", "agreement", "loss")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument(
        "--variant", required=True, nargs=3, type=Path, metavar=("MASK", "WEIGHTS", "RECORD")
    )
    parser.add_argument("--sequences", required=True, type=Path, help="the dense model's traces")
    parser.add_argument("--options", required=True, help="benchmark and problems, JSON")
    parser.add_argument("--pruning", default="{}", help="the config's pruning, as JSON")
    parser.add_argument("--threads", type=int, default=1, help="numeric threads")
    parser.add_argument("--output", required=True, type=Path)
    given = parser.parse_args(argv)
    torch.set_num_threads(given.threads)
    options: ScreenJob = parser_of(ScreenJob)(given.options)
    device = parser_of(Pruning)(given.pruning).device
    if device == "cuda":
        take_gpus(1, "pruning.device")
    digest = checkpoints.model_digest(given.model)
    pruned = read_pruned(VariantFiles(*given.variant), digest)
    sequences = chosen(read_records(given.sequences, TokenSequence), options.problems)
    if not any(sequence.trace or sequence.answer for sequence in sequences):
        raise InputError(f"{given.sequences}: the dense model wrote nothing to be screened on")
    checkpoint = checkpoints.open_checkpoint(given.model)
    kinds = torch.from_numpy(token_kinds(load_tokenizer(given.model)).astype(np.int64))
    both = open_both(blocks.open_decoder(checkpoint, device), pruned)
    request = request_of(digest, plain(options), [given.sequences, *given.variant], device, STAGE)
    done = RowsDone(given.output, request)
    sums = screened(both, sequences, kinds, done)
    trace, answer = (distances(sums[part]) for part in PARTS)
    screen = Screen(
        model_digest=digest,
        digest=pruned.digest,
        benchmark=options.benchmark,
        problems=len(sequences),
        trace=trace,
        answer=answer,
    )
    write_screen(given.output, screen)
    done.forget()


def chosen(sequences: Sequence[TokenSequence], problems: int) -> list[TokenSequence]:
    """The first repeat of so many problems, evenly from all: a file may have the easy ones first.

    All problems where there are no more.
    """
    first = min((sequence.repeat for sequence in sequences), default=0)
    rows = [sequence for sequence in sequences if sequence.repeat == first]
    count = min(problems, len(rows))
    return [rows[number * len(rows) // count] for number in range(count)]


def screened(
    both: Both, sequences: Sequence[TokenSequence], kinds: Tensor, done: RowsDone
) -> dict[str, Tensor]:
    """The sums over the tokens of each kind, by part: float64, (4, kinds), in the order of SUMS.

    `kinds` has the kind of every token id. Raises `InputError` where a number is not finite.
    """
    sums = {part: torch.zeros(len(SUMS), len(TOKEN_KINDS)).double() for part in PARTS}
    groups = list(walking_together(sequences, WALKING[both.decoder.device]))
    progress = Progress(sum(len(sequence.ids) for sequence in sequences))
    for number in done.rows("screened", sums, len(groups)):
        rows = [torch.tensor([sequence.ids]) for sequence in groups[number]]
        states = zip(*last_states(both, rows), strict=True)
        for sequence, ids, (dense, ours) in zip(groups[number], rows, states, strict=True):
            for part, places in places_of(sequence).items():
                if not len(places):
                    continue
                found = compared(both, dense, ours, ids, places)
                if not all(values.isfinite().all() for values in found):
                    raise InputError(
                        f"{sequence.id}: the variant's or the model's logits on it are not finite"
                    )
                each = torch.stack([torch.ones(len(places)).double(), *found])
                sums[part].index_add_(1, kinds[ids[0, places]], each)
            progress(len(sequence.ids))
    return sums


def walking_together(
    sequences: Sequence[TokenSequence], tokens: int
) -> Iterator[list[TokenSequence]]:
    """Sequences in their order, in groups of at most so many tokens or of one sequence."""
    group: list[TokenSequence] = []
    for sequence in sequences:
        if group and sum(len(each.ids) for each in [*group, sequence]) > tokens:
            yield group
            group = []
        group.append(sequence)
    yield group


def places_of(sequence: TokenSequence) -> dict[str, Tensor]:
    """Where in a sequence the tokens are that the dense model wrote, by part."""
    start, end = sequence.prompt, len(sequence.ids)
    return {
        "trace": torch.arange(start, start + sequence.trace),
        "answer": torch.arange(end - sequence.answer, end),
    }


def distances(sums: Tensor) -> dict[str, Distance]:
    """The means of the kinds that occur, by kind."""
    found = {}
    for kind, (tokens, *totals) in zip(TOKEN_KINDS, sums.T.tolist(), strict=True):
        if tokens:
            kl, agreement, loss = (total / tokens for total in totals)
            found[kind] = Distance(tokens=int(tokens), kl=kl, agreement=agreement, loss=loss)
    return found


if __name__ == "__main__":
    run_stage(main)
