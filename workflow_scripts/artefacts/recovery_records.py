"""`recovery.json`: how the training after pruning went. No torch here."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, NonNegativeInt, PositiveInt

from workflow_scripts.artefacts.json_files import AS_LIST, STRICT, read_model_file
from workflow_scripts.files.atomic import write_json

FORMAT = 1


class Step(BaseModel):
    """One step of the optimizer, from 1: the mean loss of its tokens (nats), and its rate."""

    model_config = STRICT
    step: PositiveInt
    loss: float
    learning_rate: float


class Measurement(BaseModel):
    """The mean loss (nats a token) of the validation rows after a step; step 0 is before any."""

    model_config = STRICT
    step: NonNegativeInt
    loss: float


class RecoveryRecord(BaseModel):
    """What training after pruning did.

    `trained` counts the parameters that were trained and `tokens` the tokens that had a loss, each
    as often as it was seen. `rows` were there to train on, `cut` of them longer than `length`;
    those without a token that has a loss were left out and are not counted. `kept_step` is the step
    whose weights the variant has: the last, or that of the least validation loss.
    """

    model_config = STRICT
    format: Literal[1] = FORMAT
    model_digest: str
    trained: PositiveInt
    tokens: PositiveInt
    rows: PositiveInt
    cut: NonNegativeInt
    steps: Annotated[tuple[Step, ...], AS_LIST]
    validation: Annotated[tuple[Measurement, ...], AS_LIST] = ()
    kept_step: NonNegativeInt
    stopped_early: bool = False


def write_recovery_record(path: Path, record: RecoveryRecord) -> None:
    """Write a `recovery.json`, atomically."""
    write_json(path, record.model_dump(mode="json"))


def read_recovery_record(path: Path, model_digest: str | None = None) -> RecoveryRecord:
    """Read a `recovery.json`. Raises `InputError`, naming the key, where it is not one, and where
    it is of another model than the one with `model_digest`, if that is given.
    """
    return read_model_file(path, RecoveryRecord, "recovery", model_digest)
