"""Score the influence of every block's attention and MLP from gradients of single samples.

    python -m workflow_scripts.calibration.score_influence --model resources/models/reasoner \\
        --options '{"source": {"kind": "bundled", "name": "chains"}, "train_samples": 32, \\
        "validation_samples": 16, "length": 128}' --threads 1 \\
        --output results/reasoner/influence/chains.json

The scores are LayerIF's (arXiv 2505.23811), per part of a block as in arXiv 2604.25098:
`influence.py` has the formulas and states the sign. The loss of a row is the mean cross-entropy of
its completion's tokens. Gradients are of the full weights of the linears, of a model in fp32
on the CPU or in bf16 on a GPU; in memory there are its weights, one averaged gradient (a number of
fp32 for each weight of the linears), one weight's gradient, and a row's hidden states with one
block's activations and the logits of its completion. A row takes one backward pass; with DataInf a
train row takes three. A job that was killed goes on from the rows that it had done: `rows_done.py`.
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch

from workflow_scripts.artefacts.rows_done import RowsDone
from workflow_scripts.calibration.influence import CONVENTION, HESSIANS, part_scores
from workflow_scripts.config.catalogues import InfluenceSet
from workflow_scripts.config.entry import parser_of, plain
from workflow_scripts.config.places import check_given
from workflow_scripts.config.pruning import Pruning
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import write_json
from workflow_scripts.files.digests import value_digest
from workflow_scripts.inputs.corpora import shuffled, source_file
from workflow_scripts.inputs.text_files import pairs_of_file
from workflow_scripts.jobs.gpus import take_gpu_in_order
from workflow_scripts.jobs.source_digests import source_digest
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.models import checkpoints
from workflow_scripts.models.chat_templates import AUTO, ChatTemplate
from workflow_scripts.models.checkpoints import EMBEDDING, Checkpoint, Linear
from workflow_scripts.models.experts import experts_place
from workflow_scripts.models.rope import context_length
from workflow_scripts.models.sample_gradients import (
    Sample,
    SampleGradients,
    load_model,
    shapes,
)
from workflow_scripts.models.tokenizers import check_ids, encode_pair, load_tokenizer

PARTS = ("prompt", "completion")
STAGE = "calibration.score_influence"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--options", required=True, help="the influence set's entry, as JSON")
    parser.add_argument("--corpus", type=Path, help="manifest of a fetched corpus (kind hub)")
    parser.add_argument("--date", default=AUTO, help="what chat templates are told, or auto")
    parser.add_argument("--chat", default={}, type=json.loads, help="what else, as JSON")
    parser.add_argument("--pruning", default="{}", help="the config's pruning, as JSON")
    parser.add_argument("--threads", type=int, default=1, help="numeric threads")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args(argv)
    wanted: InfluenceSet = parser_of(InfluenceSet)(arguments.options)
    check_given(wanted, arguments)
    device = parser_of(Pruning)(arguments.pruning).device
    torch.set_num_threads(arguments.threads)
    if device == "cuda":
        take_gpu_in_order("pruning.device")
    digest = checkpoints.model_digest(arguments.model)
    checkpoint = checkpoints.open_checkpoint(arguments.model)
    linears = checkpoints.linears(checkpoint)
    counts = (wanted.train_samples, wanted.validation_samples)
    check_length(checkpoint, wanted.length)
    path = source_file(wanted.source, arguments.corpus)
    pair = plain(wanted.source, include=set(PARTS))
    rows = shuffled(pairs_of_file(path, pair or None), wanted.seed)
    tokenizer = load_tokenizer(arguments.model)
    with ChatTemplate(tokenizer, arguments.date, arguments.chat) as template:
        samples = draw_samples(template, rows, sum(counts), wanted.length)
    for sample in samples:
        check_ids(tokenizer, sample.tokens, checkpoint.shapes[EMBEDDING][0], sample.where)
    if len(samples) < sum(counts):
        raise InputError(
            f"{path}: has {len(samples)} different rows, {counts[0]} train and {counts[1]} "
            "validation rows are needed"
        )
    train, validation = samples[: counts[0]], samples[counts[0] :]
    data = data_digest(train, validation)
    same = [digest, data, wanted.hessian, device, arguments.threads, torch.__version__]
    done = RowsDone(arguments.output, value_digest([*same, source_digest(STAGE)]))
    if device == "cuda":
        check_room(checkpoint, linears, torch.cuda.mem_get_info()[0])
    gradients = SampleGradients(load_model(checkpoint, device), linears, experts_place(checkpoint))
    influence = HESSIANS[wanted.hessian](
        train, validation, gradients, shapes(linears), done.rows, device
    )
    record = {
        "format": 1,
        "convention": CONVENTION,
        "hessian": wanted.hessian,
        "model_digest": digest,
        "data_digest": data,
        "train_samples": len(train),
        "validation_samples": len(validation),
        "blocks": part_scores(influence, linears),
    }
    write_json(arguments.output, record)
    done.forget()


def check_room(checkpoint: Checkpoint, linears: Sequence[Linear], free: int) -> None:
    """Raise `InputError` where weights and one averaged gradient are more than the free bytes."""
    weights = 2 * sum(math.prod(shape) for shape in checkpoint.shapes.values())
    needed = weights + 4 * sum(math.prod(linear.shape) for linear in linears)
    if needed > free:
        raise InputError(
            f"pruning.device: {checkpoint.folder} needs {needed / 1e9:.0f} GB of a GPU for its "
            f"scores, and {free / 1e9:.0f} are free; set it to cpu, or run on a larger GPU"
        )


def check_length(checkpoint: Checkpoint, length: int) -> None:
    """Raise `InputError` for rows that the model cannot take."""
    longest = context_length(checkpoint)
    if length > longest:
        raise InputError(f"influence set of {length} tokens a row: the model takes {longest}")


def draw_samples(
    template: ChatTemplate,
    rows: Sequence[tuple[str, dict[str, str]]],
    count: int,
    length: int,
) -> list[Sample]:
    """The first `count` different samples of the rows, cut to `length` tokens; fewer if they end.

    Rows that are the same tokens count once: a row that comes twice must not be in both sets.
    Raises `InputError` naming the row whose completion has no tokens or is cut away.
    """
    samples: dict[tuple[int, tuple[int, ...]], Sample] = {}
    for where, row in rows:
        if len(samples) == count:
            break
        prompt, completion = encode_pair(template, row, where)
        if not prompt or not completion:
            empty = "completion" if prompt else "prompt"
            raise InputError(f"{where}: its {empty} has no tokens")
        if len(prompt) >= length:
            raise InputError(
                f"{where}: nothing of its completion is left: the prompt alone has {len(prompt)} "
                f"tokens, and rows are cut to {length}"
            )
        sample = Sample(where, tuple(prompt + completion)[:length], len(prompt))
        samples.setdefault((sample.prompt, sample.tokens), sample)
    return list(samples.values())


def data_digest(train: Sequence[Sample], validation: Sequence[Sample]) -> str:
    """sha256 over the token ids that were used, as hex; where they came from does not matter."""
    sets = [[[sample.prompt, list(sample.tokens)] for sample in s] for s in (train, validation)]
    return value_digest(sets)


if __name__ == "__main__":
    run_stage(main)
