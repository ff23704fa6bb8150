"""Whether a folder holds a model that every later stage can use as it is meant."""

from pathlib import Path

from transformers import GenerationConfig

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json
from workflow_scripts.models import architectures, checkpoints
from workflow_scripts.models.tokenizers import end_of_turn_ids, load_tokenizer

GENERATION = "generation_config.json"


def check_model(folder: Path) -> None:
    """Raise `InputError` unless the model is whole and finite.

    That is: our blocks, every tensor of the architecture and no other, all values finite (each is
    read once, one tensor at a time), and a config, a tokenizer and generation settings that
    transformers opens.
    """
    checkpoint = checkpoints.open_checkpoint(folder)
    checkpoints.linears(checkpoint)
    model = architectures.empty_model(checkpoint)
    tokenizer = load_tokenizer(folder)
    _check_generation_config(folder / GENERATION)
    rows = checkpoint.shapes[checkpoints.EMBEDDING][0]
    for token in end_of_turn_ids(folder, tokenizer):
        if not 0 <= token < rows:
            raise InputError(
                f"{folder}: token {token} is to end a turn, and the model's embedding has {rows} "
                f"rows; correct eos_token_id in {GENERATION}, config.json or tokenizer_config.json"
            )
    architectures.check_values(checkpoint, model)


def _check_generation_config(path: Path) -> None:
    if not path.exists():
        return
    settings = read_json(path)
    if not isinstance(settings, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(settings).__name__}")
    try:
        GenerationConfig(**settings)
    except Exception as error:  # of any class: whatever its checks make of an odd value
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: transformers cannot read it: {reason}") from None
