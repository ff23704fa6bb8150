"""`routes/{benchmark}.json`: where in its traces a dynamic variant runs what. No torch here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, NonNegativeInt, PositiveInt

from workflow_scripts.artefacts.json_files import AS_LIST, STRICT, read_model_file
from workflow_scripts.files.atomic import write_json

FORMAT = 1

Counts = Annotated[tuple[NonNegativeInt, ...], AS_LIST]


class Ran(BaseModel):
    """Of so many tokens, how many ran each block's attention and MLP."""

    model_config = STRICT
    tokens: NonNegativeInt
    attention: Counts
    mlp: Counts


class Place(Ran):
    """The tokens of traces from `first` to before `end`, the first of a trace being 0."""

    first: NonNegativeInt
    end: PositiveInt


class RouteRecord(BaseModel):
    """What ran while the traces of a benchmark, and the answers, were decoded.

    `kinds` are those of `models.token_kinds`, of the token that is put into the model. Traces are
    those under the largest budget, or of all where each budget has its own. The last token of one
    that was cut is never put into the model, and counts nowhere.
    """

    model_config = STRICT
    format: Literal[1] = FORMAT
    digest: str
    blocks: PositiveInt
    traces: Ran
    answers: Ran
    places: Annotated[tuple[Place, ...], AS_LIST]
    kinds: Mapping[str, Ran]


def write_routes(path: Path, record: RouteRecord) -> None:
    """Write one, atomically."""
    write_json(path, record.model_dump(mode="json"))


def read_routes(path: Path) -> RouteRecord:
    """Read one. Raises `InputError`, naming the key, where it is none."""
    return read_model_file(path, RouteRecord, "routes")
