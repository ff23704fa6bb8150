"""Train a pruned model, so that what is left makes up for what is gone.

    python -m workflow_scripts.recovery.recover --model resources/models/reasoner \\
        --options '{"kind": "lora", "rank": 8, "alpha": 16, "length": 128, "steps": 100, \\
        "batch": 16, "learning_rate": 0.001}' \\
        --texts '{"kind": "bundled", "name": "chains"}' \\
        --pruned-mask results/reasoner/wanda-50/mask.safetensors \\
        --pruned-weights results/reasoner/wanda-50/weights.safetensors \\
        --pruned-record results/reasoner/wanda-50/mask.json --threads 1 \\
        --mask results/reasoner/wanda-50-lora/mask.safetensors \\
        --weights results/reasoner/wanda-50-lora/weights.safetensors \\
        --record results/reasoner/wanda-50-lora/mask.json \\
        --recovery results/reasoner/wanda-50-lora/recovery.json

What is trained is in `adapters`, on what in `samples`, and how in `trainer`. The mask stays as it
is, to the byte. The model is in fp32 on the CPU; on a GPU it is in bf16, and what is trained in
fp32. A job that was killed goes on from the state that it saved last: `states`.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel

from workflow_scripts.artefacts.masks import Pruned, VariantFiles, read_pruned
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned
from workflow_scripts.artefacts.recovered import write_recovered
from workflow_scripts.artefacts.recovery_records import (
    Reached,
    RecoveryRecord,
    write_recovery_record,
)
from workflow_scripts.artefacts.rows_done import request_of
from workflow_scripts.config.catalogues import Corpus
from workflow_scripts.config.entry import parser_of, plain
from workflow_scripts.config.recoveries import AnyRecovery, Full, Recovery
from workflow_scripts.errors import InputError
from workflow_scripts.inputs.corpora import rows_of, source_file
from workflow_scripts.jobs.gpus import take_gpu_in_order
from workflow_scripts.jobs.progress import tell
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.models import checkpoints
from workflow_scripts.models.architectures import load_model
from workflow_scripts.models.chat_templates import AUTO, ChatTemplate
from workflow_scripts.models.checkpoints import EMBEDDING, Checkpoint
from workflow_scripts.models.rope import context_length
from workflow_scripts.models.tokenizers import end_of_turn_ids, load_tokenizer
from workflow_scripts.recovery.adapters import Trained, prepare, targets_of
from workflow_scripts.recovery.penalty import Penalised, left, uncut
from workflow_scripts.recovery.samples import Drawn, draw
from workflow_scripts.recovery.shares import settle
from workflow_scripts.recovery.states import States
from workflow_scripts.recovery.trainer import History, train

STAGE = "recovery.recover"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--options", required=True, help="the recovery's entry, as JSON")
    parser.add_argument("--texts", required=True, help="the source of what it trains on, as JSON")
    parser.add_argument("--corpus", type=Path, help="manifest of fetched texts (kind hub)")
    for kind in VariantFiles._fields:
        parser.add_argument(f"--pruned-{kind}", required=True, type=Path, help="where it starts")
    parser.add_argument("--date", default=AUTO, help="what chat templates are told, or auto")
    parser.add_argument("--chat", default={}, type=json.loads, help="what else, as JSON")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="numeric threads")
    for kind in (*VariantFiles._fields, "recovery"):
        parser.add_argument(f"--{kind}", required=True, type=Path)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    wanted: Recovery = parser_of(AnyRecovery)(arguments.options)
    source = parser_of(Corpus)(json.dumps({"source": json.loads(arguments.texts)})).source
    device = arguments.device
    if device == "cuda":
        take_gpu_in_order("pruning.device")
    digest = checkpoints.model_digest(arguments.model)
    checkpoint = checkpoints.open_checkpoint(arguments.model)
    before = VariantFiles(arguments.pruned_mask, arguments.pruned_weights, arguments.pruned_record)
    start = read_pruned(before, digest)
    targets = targets_of(checkpoint, wanted)
    check_length(checkpoint, wanted.length)
    text_file = source_file(source, arguments.corpus)
    rows = rows_of(source, arguments.corpus, arguments.recovery.parent)
    tokenizer = load_tokenizer(arguments.model)
    ends, embedded = end_of_turn_ids(arguments.model, tokenizer), checkpoint.shapes[EMBEDDING][0]
    with ChatTemplate(tokenizer, arguments.date, arguments.chat) as template:
        drawn = draw(rows, template, wanted, ends, embedded, arguments.recovery.parent)
        told = [template.day, arguments.chat]
    keys = plain(wanted, exclude={"save_every"})
    made_from = {"recovery": keys, "source": plain(source), "told": told}
    request = request_of(digest, made_from, [text_file, *before], device, STAGE)
    states = States(arguments.recovery, request)
    # with a penalty, weights go after training
    trained_on = uncut(start) if wanted.penalty else start
    model = open_model(checkpoint, trained_on, wanted, device)
    trained = prepare(model, trained_on, targets, wanted)
    penalised = Penalised(model, start, targets, wanted.penalty) if wanted.penalty else None
    what = f"{len(targets)} linears" if targets else "routers"
    if targets and wanted.trained_routers:
        what += " and of routers"
    tell(
        f"recovery: {trained.count:,} parameters of {what} are trained on "
        f"{len(drawn.train)} rows ({drawn.cut} cut), {len(drawn.validation)} are measured"
    )
    history = train(model, trained, drawn, wanted, states, device, penalised)
    dynamic, reached = start.record.dynamic, None
    if dynamic:
        dynamic, reached = settle(model, dynamic, drawn.validation, wanted, device)
    if device == "cuda":
        tell(f"{torch.cuda.max_memory_allocated() / 1e9:.1f} GB of the GPU were taken at most")
    files = VariantFiles(arguments.mask, arguments.weights, arguments.record)
    said = wanted.own() | {"source": plain(source)}
    tensors = left(trained.copies(), start)
    write_recovered(files, start, before.mask, checkpoint, tensors, trained.scale, said, dynamic)
    record = record_of(digest, trained, drawn, history, wanted, reached)
    write_recovery_record(arguments.recovery, record)
    states.forget()


def check_length(checkpoint: Checkpoint, length: int) -> None:
    """Raise `InputError` for rows that are longer than the model's positions."""
    longest = context_length(checkpoint)
    if length > longest:
        raise InputError(f"recovery length {length}: the model takes {longest} tokens at most")


def open_model(
    checkpoint: Checkpoint, start: Pruned, wanted: Recovery, device: str
) -> PreTrainedModel:
    """The pruned model on its device, in bf16 on a GPU unless its weights themselves are trained.

    Raises `InputError` for weights that are not those that were fetched.
    """
    checkpoints.check_weights(checkpoint.folder)
    is_wide = device == "cpu" or isinstance(wanted, Full)
    model = load_model(checkpoint, torch.float32 if is_wide else torch.bfloat16)
    apply_pruned(model, start, checkpoint)
    return model.to(device)


def record_of(
    digest: str,
    trained: Trained,
    drawn: Drawn,
    history: History,
    wanted: Recovery,
    reached: Reached | None,
) -> RecoveryRecord:
    """What `recovery.json` says."""
    last = history.steps[-1].step
    has_best = history.validation and not wanted.trained_routers
    return RecoveryRecord(
        model_digest=digest,
        trained=trained.count,
        tokens=history.tokens,
        rows=len(drawn.train),
        cut=drawn.cut,
        steps=tuple(history.steps),
        validation=tuple(history.validation),
        kept_step=history.least.step if has_best else last,
        stopped_early=last < wanted.steps,
        reached=reached,
    )


if __name__ == "__main__":
    run_stage(main)
