"""The methods that remove blocks by what they measure, run by the tests, and whole models in
float64 that they are held against."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tests.artefacts.mask_references import run
from tests.models.tiny_models import (
    load_model,
    save_calibration_set,
    save_tiny_model,
    write_manifest,
)
from workflow_scripts.artefacts.mask_records import BlockScores, MaskRecord, read_mask_record
from workflow_scripts.artefacts.masks import VariantFiles
from workflow_scripts.masking import export_checkpoint
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import StoredTensors, save_tensors


def built(place: Path, folder: Path, input_ids: Tensor | None = None, **options) -> VariantFiles:
    """Build a mask, on these tokens where the method takes some."""
    place.mkdir(exist_ok=True)
    files = {}
    if input_ids is not None:
        options = {"calibration": "set", **options}
        files = {"calibration": save_calibration_set(place / "set.safetensors", folder, input_ids)}
    return run(place, folder, options, **files)


def record(place: Path, folder: Path, input_ids: Tensor | None = None, **options) -> MaskRecord:
    return read_mask_record(built(place, folder, input_ids, **options).record)


def measured(scores: BlockScores) -> dict[int, float]:
    """Those blocks that have a score."""
    return {block: value for block, value in enumerate(scores.values) if value is not None}


def export(folder: Path, files: VariantFiles, output: Path) -> Path:
    entry = json.loads(files.record.read_text(encoding="utf-8"))
    entry = {"method": "blocks", "blocks": entry["removed_blocks"]}
    made_from = {"model": "m", "variant": "v", "entry": entry, "device": "cpu", "sets": {}}
    stage = ["--model", folder, "--mask", files.mask, "--weights", files.weights]
    stage += ["--record", files.record, "--output", output, "--made-from", json.dumps(made_from)]
    export_checkpoint.main([str(part) for part in stage])
    return output


def without(place: Path, folder: Path, blocks: Sequence[int]) -> PreTrainedModel:
    """The model without some blocks, as its exported checkpoint opens; float64."""
    files = built(place, folder, method="blocks", blocks=list(blocks))
    return load_model(export(folder, files, place / "checkpoint"), torch.float64)


def silenced(folder: Path, silent: tuple[int, ...], **options) -> Path:
    """A model some of whose blocks hand on what they are given: o_proj and down_proj are zero."""
    save_tiny_model(folder, **options)
    path = folder / "model.safetensors"
    tensors = dict(StoredTensors(open_tensors(path, checksum=False)))
    for block in silent:
        for name in ("self_attn.o_proj", "mlp.down_proj"):
            tensors[f"model.layers.{block}.{name}.weight"].zero_()
    save_tensors(path, tensors, {"format": "pt"})
    write_manifest(folder)
    return folder


def loss(model: PreTrainedModel, input_ids: Tensor) -> Tensor:
    """The mean cross-entropy of every token that follows another."""
    logits = model(input_ids=input_ids.long(), use_cache=False).logits[:, :-1]
    return nn.functional.cross_entropy(logits.flatten(0, 1), input_ids[:, 1:].long().flatten())
