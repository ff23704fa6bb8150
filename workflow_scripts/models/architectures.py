"""What transformers makes of a config: the model that a checkpoint is held against.

What a checkpoint lacks would be drawn at random when it is loaded, anew in every job, and what its
architecture has no place for would be dropped, both in silence. So nothing is loaded here before
names and shapes are those of the model that config.json describes.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.conversion_mapping import get_checkpoint_conversion_mapping

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json
from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import WEIGHT_DTYPES, Checkpoint
from workflow_scripts.models.experts import as_stored, experts_place

# frequencies that old checkpoints hold for every block, and that transformers computes
COMPUTED = r"rotary_emb\.inv_freq$"
QUANTISED = ("quantization_config", "compression_config")


def load_config(checkpoint: Checkpoint) -> Any:
    """The checkpoint's config as transformers reads it. Raises `InputError` where it cannot."""
    path = checkpoint.folder / checkpoints.CONFIG
    for key in QUANTISED:
        if checkpoint.config.get(key) is not None:
            raise InputError(
                f"{path}: {key!r} says that the weights are quantised; pruning needs plain ones: "
                "take the key out if they are, else take the model that was quantised"
            )
    try:
        config = AutoConfig.from_pretrained(
            checkpoint.folder, trust_remote_code=False, local_files_only=True
        )
    except Exception as error:  # of any class: every architecture checks its values in its own way
        raise InputError(f"{path}: transformers cannot read it: {_reason(error)}") from None
    counts = {"max_position_embeddings": checkpoint.config.get("max_position_embeddings")}
    window = getattr(config, "sliding_window", None)
    if window is not None and getattr(config, "use_sliding_window", True):
        counts["sliding_window"] = window  # not every class checks it
    for key, value in counts.items():
        if type(value) is not int or value < 1:
            raise InputError(f"{path}: {key!r} is {value!r}; it must be a whole number above 0")
    return config


def empty_model(checkpoint: Checkpoint, dtype: torch.dtype | None = None) -> PreTrainedModel:
    """The model of the checkpoint's config, without memory for its weights.

    Raises `InputError` for a config that transformers cannot build, and where the checkpoint lacks
    a tensor of that model, has one that the model has not, or one of another shape or dtype.
    """
    model = _built(checkpoint, dtype)
    _check_tensors(checkpoint, model)
    return model


def check_described(folder: Path) -> None:
    """Raise `InputError` where a folder's config.json describes a model that is not supported.

    No weights are needed, so that a model is refused before gigabytes of them are fetched. Where
    transformers renames or joins tensors as it opens a checkpoint, their names are not known yet:
    of a model type that is not known to be refused it is left to the weights.
    """
    described = Checkpoint(folder, read_json(folder / checkpoints.CONFIG), {}, {}, {}, {})
    checkpoints.check_kind(described)
    model = _built(described)
    if get_checkpoint_conversion_mapping(model.config.model_type):
        return
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    files = dict.fromkeys(shapes, folder / checkpoints.CONFIG)
    dtypes = dict.fromkeys(shapes, WEIGHT_DTYPES[0])
    checkpoints.linears(replace(described, files=files, shapes=shapes, dtypes=dtypes))


def _built(checkpoint: Checkpoint, dtype: torch.dtype | None = None) -> PreTrainedModel:
    """The model that config.json describes, on torch's device `meta`."""
    config = load_config(checkpoint)
    path = checkpoint.folder / checkpoints.CONFIG
    try:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, dtype=dtype)
    except Exception as error:  # of any class, as above
        reason = _reason(error)
        raise InputError(f"{path}: transformers cannot build this model: {reason}") from None


def load_model(checkpoint: Checkpoint, dtype: torch.dtype) -> PreTrainedModel:
    """The whole model, on the CPU. Raises `InputError` as `empty_model` does.

    The weights are not held against the manifest, see `checkpoints.check_weights`.
    """
    empty_model(checkpoint)
    return AutoModelForCausalLM.from_pretrained(
        checkpoint.folder, dtype=dtype, local_files_only=True, trust_remote_code=False
    ).eval()


def tied_tensors(checkpoint: Checkpoint, model: PreTrainedModel) -> Mapping[str, str]:
    """Pairs of tensors that the model has but once, of which at least one is in the checkpoint."""
    return {
        one: other
        for one, other in model.all_tied_weights_keys.items()
        if one in checkpoint.files or other in checkpoint.files
    }


def check_values(checkpoint: Checkpoint, model: PreTrainedModel) -> None:
    """Read every tensor once, one at a time. Raises `InputError` for the first that is not finite.

    And for tensors that should be one and differ: transformers would then take both, vLLM one.
    """
    for name in sorted(checkpoint.files):
        checkpoints.load_tensor(checkpoint, name)
    for one, other in tied_tensors(checkpoint, model).items():
        if {one, other} <= checkpoint.files.keys() and not torch.equal(
            checkpoints.load_tensor(checkpoint, one), checkpoints.load_tensor(checkpoint, other)
        ):
            raise InputError(
                f"{checkpoint.files[one]}: {one} is not equal to {other}, and config.json says "
                "that they are one (tie_word_embeddings): set it to false, or take one out"
            )


def _check_tensors(checkpoint: Checkpoint, model: PreTrainedModel) -> None:
    stored = as_stored(model.state_dict(), experts_place(checkpoint))
    declared = {name: tuple(tensor.shape) for name, tensor in stored.items()}
    found = checkpoint.shapes
    wanted = f"{checkpoints.CONFIG}, opened as {type(model).__name__},"
    tied = tied_tensors(checkpoint, model)
    if missing := declared.keys() - found.keys() - {*tied, *tied.values()}:
        raise InputError(
            f"{checkpoint.folder}: {min(missing)} is missing: {wanted} asks for it, and no file "
            "has it"
        )
    unread = re.compile("|".join([COMPUTED, *(model._keys_to_ignore_on_load_unexpected or ())]))
    if surplus := {name for name in found.keys() - declared.keys() if not unread.search(name)}:
        name = min(surplus)
        raise InputError(
            f"{checkpoint.files[name]}: {name} has no place in the model: {wanted} does not ask "
            "for it, and it would be left out; correct the config, or take it out"
        )
    for name in sorted(found.keys() & declared.keys()):
        if found[name] != declared[name]:
            raise InputError(
                f"{checkpoint.files[name]}: {name} is of shape {found[name]}, {wanted} asks for "
                f"{declared[name]}"
            )
        if checkpoint.dtypes[name] not in WEIGHT_DTYPES:
            raise InputError(
                f"{checkpoint.files[name]}: {name} is {checkpoint.dtypes[name]}; weights can be "
                f"{', '.join(WEIGHT_DTYPES)}"
            )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:400] or type(error).__name__
