"""What artefacts in JSON have in common: strict, closed pydantic classes, read in one way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json

STRICT = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)
AS_LIST = Field(strict=False)  # a tuple comes as JSON's list

Anything = TypeVar("Anything")
Model = TypeVar("Model", bound=BaseModel)


def checked(validate: Callable[[Any], Anything], value: Any, where: str) -> Anything:
    """What `validate` makes of a value. Raises `InputError`: `where`, key, value, what is wrong."""
    try:
        return validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        found = "" if first["type"] == "missing" or not key else f" {first['input']!r}"
        key_and_value = f"{where}: {key}{found}" if key else where
        raise InputError(f"{key_and_value}: {first['msg'].removeprefix('Value error, ')}") from None


def read_model_file(
    path: Path, kind: type[Model], what: str, model_digest: str | None = None
) -> Model:
    """Read a JSON file of one kind; `what` names the kind in messages.

    Raises `InputError` where it is none, and where it was made for another model than the one with
    `model_digest`, if that is given: a kind has the field `model_digest` then.
    """
    found = checked(kind.model_validate, read_json(path), str(path))
    if model_digest is not None:
        check_model(path, what, found.model_digest, model_digest)
    return found


def check_model(path: Path, what: str, made_for: str | None, model_digest: str) -> None:
    """Raise `InputError` unless a file was made for the model with `model_digest`."""
    if made_for != model_digest:
        raise InputError(
            f"{path}: {what} of another model (digest {made_for}, this model's is {model_digest})"
        )
