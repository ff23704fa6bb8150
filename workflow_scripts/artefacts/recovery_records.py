"""`recovery.json`: how the training after pruning went. No torch here."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, NonNegativeInt, PositiveInt

from workflow_scripts.artefacts.json_files import AS_LIST, STRICT, read_model_file
from workflow_scripts.files.atomic import write_json

FORMAT = 1


class Step(BaseModel):
    """One step of the optimizer, from 1: the mean loss of its tokens (nats), and its rate.

    `skipped` is the share of pairs of a token and a sublayer that its rows skipped, as routes were
    drawn; None where the model has no routers.
    """

    model_config = STRICT
    step: PositiveInt
    loss: float
    learning_rate: float
    skipped: float | None = None


class Measurement(BaseModel):
    """The mean loss (nats a token) of the validation rows after a step; step 0 is before any.

    `skipped` is the share that they skip, as when the model is used.
    """

    model_config = STRICT
    step: NonNegativeInt
    loss: float
    skipped: float | None = None


class Reached(BaseModel):
    """What the validation rows skip of a dynamic variant in the end, as when it is used.

    `asked` and `skipped` are shares of pairs of a token and a sublayer, `unused` that of the
    weights of all blocks' linears which a token does not use, on average. `shift` was added to the
    margins of all routers to get there; `loss` is the rows' mean loss with it (nats a token).
    """

    model_config = STRICT
    asked: float
    skipped: float
    unused: float
    shift: float
    loss: float


class RecoveryRecord(BaseModel):
    """What training after pruning did.

    `trained` counts the parameters that were trained and `tokens` the tokens that had a loss, each
    as often as it was seen. `rows` were there to train on, `cut` of them longer than `length`;
    those without a token that has a loss were left out and are not counted. `kept_step` is the step
    whose weights the variant has: the last, or that of the least validation loss. `reached` is what
    a dynamic variant skips then.
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
    reached: Reached | None = None


def write_recovery_record(path: Path, record: RecoveryRecord) -> None:
    """Write a `recovery.json`, atomically."""
    write_json(path, record.model_dump(mode="json", exclude_none=True))


def read_recovery_record(path: Path, model_digest: str | None = None) -> RecoveryRecord:
    """Read a `recovery.json`. Raises `InputError`, naming the key, where it is not one, and where
    it is of another model than the one with `model_digest`, if that is given.
    """
    return read_model_file(path, RecoveryRecord, "recovery", model_digest)
