"""Rows of text, of this project or of the user: found, and ordered by a seed."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from workflow_scripts.errors import InputError
from workflow_scripts.files import bundled
from workflow_scripts.files.bundled import check_bundled

BUNDLED = bundled.BUNDLED / "calibration"


Anything = TypeVar("Anything")


def source_path(source: dict[str, Any]) -> Path:
    """The file that a source names: of this project (`bundled`) or of the user (`local`)."""
    if source.get("kind") == "bundled":
        return check_bundled(BUNDLED / f"{source['name']}.jsonl")
    if source.get("kind") == "local":
        return Path(source["path"])
    raise InputError(f"calibration source {source!r}: its kind is neither bundled nor local")


def shuffled(rows: Sequence[Anything], seed: int) -> list[Anything]:
    """The rows in an order that the seed alone determines."""
    rows = list(rows)
    random.Random(seed).shuffle(rows)
    return rows
