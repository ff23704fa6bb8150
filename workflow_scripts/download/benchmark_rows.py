"""Rows of a benchmark's source, each with the place that an error message should name."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from workflow_scripts.errors import InputError

# What a data set on the hub may be made of. The snapshot is opened as a folder, by its exact
# revision: handed an id, `load_dataset` falls back to whichever revision its own cache holds.
DATA_FILES = ("README.md", "*.parquet", "*.json", "*.jsonl", "*.csv", "*.tsv", "*.arrow", "*.gz")


class Row(NamedTuple):
    """One row as it was found; `where` is `file:line` or the data set, split and row."""

    where: str
    values: Mapping[str, Any]


def rows_of_jsonl(path: Path) -> list[Row]:
    """Rows of a JSONL file. Raises `InputError` for a line that is not a JSON object."""
    try:
        lines = path.read_bytes().rstrip().split(b"\n")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    if lines == [b""]:
        return []
    return [_json_row(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]


def _json_row(line: bytes, where: str) -> Row:
    try:
        values = json.loads(line)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{where}: not valid JSON ({error})") from None
    except RecursionError:
        raise InputError(f"{where}: not valid JSON (nested too deeply)") from None
    if not isinstance(values, dict):
        raise InputError(f"{where}: expected a JSON object, found {type(values).__name__}")
    return Row(where, values)


def rows_of_hub(source: Mapping[str, Any]) -> list[Row]:
    """Rows of one split of a data set on the hub, at one revision."""
    from workflow_scripts.download.hub import fetch_snapshot  # files need no hub library

    folder, _ = fetch_snapshot(source["id"], source["revision"], "dataset", DATA_FILES)
    return rows_of_dataset(folder, source["id"], source.get("config"), source["split"])


def rows_of_dataset(folder: Path, name: str, config: str | None, split: str) -> list[Row]:
    """Rows of one split of a folder in the layout of a hub data set; `name` stands in messages.

    Rows are counted from 0, as the hub's own viewer counts them.
    """
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    chosen = f"config {config!r}, split {split!r}" if config else f"split {split!r}"
    what = f"data set {name!r}, {chosen}"
    try:
        table = load_dataset(str(folder), config, split=split)
    except (DatasetsError, ValueError, FileNotFoundError) as error:
        reason = " ".join(str(error).replace(str(folder), name).split())
        raise InputError(f"{what}: cannot be opened ({reason})") from None
    return [Row(f"{what}, row {number}", dict(row)) for number, row in enumerate(table)]
