"""Records of making: by what a file was made and from what, noted beside it by the stage.

    results/reasoner/dense/answers/chains.jsonl
    results/reasoner/dense/answers/.chains.jsonl.made.json

A stage gets an order (`jobs.orders`): what the config asks of it, by digests. When it has ended
well, each of its outputs gets a record with that, with the sha256 of every file with a checksum
that the stage read, and with its own.
"""

import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from workflow_scripts.files.atomic import write_json
from workflow_scripts.files.checksums import noted_digest, verified
from workflow_scripts.files.digests import value_digest

_CLOSED = ConfigDict(frozen=True, strict=True, extra="forbid")


class Order(BaseModel):
    """What a job is to make: digests of its parameters by their names, and its outputs."""

    model_config = _CLOSED
    asked: dict[str, str]
    outputs: list[str]


class Source(BaseModel):
    """A file that something was made from: its sha256, and a digest of what it was asked to be."""

    model_config = _CLOSED
    sha256: str
    asked: str | None


class Made(BaseModel):
    """How a file or folder was made; when, in nanoseconds. `sha256` is None for a folder."""

    model_config = _CLOSED
    asked: dict[str, str]
    sources: dict[str, Source]
    sha256: str | None
    time: int


def record_file(path: Path) -> Path:
    """Where the record of a file or folder is."""
    return path.with_name(f".{path.name}.made.json")


def read_making(path: Path) -> Made | None:
    """The record of a file or folder; None where there is none or it is damaged."""
    try:
        return Made.model_validate_json(record_file(path).read_bytes())
    except (OSError, ValidationError):
        return None


def note_making(order: Path) -> None:
    """Record how the outputs of an order were made, at the end of the process that made them."""
    # what follows the first line is for people
    given = Order.model_validate_json(order.read_text(encoding="utf-8").splitlines()[0])
    sources = {
        path: {"sha256": digest, "asked": made and value_digest(made.asked)}
        for path, digest in sorted(verified.items())
        if path not in given.outputs
        for made in [read_making(Path(path))]
    }
    made = {"asked": given.asked, "sources": sources, "time": time.time_ns()}
    for output in map(Path, given.outputs):
        record = made | {"sha256": noted_digest(output)}
        write_json(record_file(output), record, checksum=False)
