"""Rows of texts, drawn by number: where they lie, and in what order a seed puts them.

Rows are kept in an unnamed file on disk, one JSON value a line, and read by number: a corpus of any
size is gone through once, and only the rows that are drawn are tokenised.
"""

import json
import random
import tempfile
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workflow_scripts.config.sources.base import Source
from workflow_scripts.files.bundled import BUNDLED, check_bundled
from workflow_scripts.inputs.text_files import numbered_rows
from workflow_scripts.models.manifests import check_fetched, fetched_files


class Rows:
    """Rows by number, from 0; `where` says in messages what they are.

    A row is a mapping, as `text_files` reads it, or a list of token ids.
    """

    def __init__(self, rows: Iterable[Any], where: str, folder: Path) -> None:
        self.where = where
        self._starts = array("q")
        folder.mkdir(parents=True, exist_ok=True)
        # open as long as the rows are; its name is gone at once
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        try:
            for row in rows:
                self._starts.append(self._file.tell())
                self._file.write(json.dumps(row).encode() + b"\n")
            self._file.flush()
        except OSError as error:  # of a file without a name
            error.filename = error.filename or str(folder)
            raise

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, number: int) -> Any:
        self._file.seek(self._starts[number])
        return json.loads(self._file.readline())


def shuffled(rows: Iterable[Any], seed: int | str) -> list[Any]:
    """The rows in an order that the seed alone determines."""
    rows = list(rows)
    random.Random(seed).shuffle(rows)
    return rows


def rows_of(source: Source, corpus: Path | None, folder: Path) -> Rows:
    """The rows of a source that is a file; `folder` is where they are kept on disk.

    `corpus` is the manifest of a source of kind hub. Raises `InputError` for a source that is not
    there or not readable.
    """
    path = source_file(source, corpus)
    return Rows((row for _, row in numbered_rows(path, **source.form())), str(path), folder)


def source_file(source: Source, corpus: Path | None) -> Path:
    """The file that a source names; `corpus` is the manifest of a source of kind hub."""
    if source.kind == "hub":
        return _fetched(corpus)
    if source.kind == "bundled":
        return check_bundled(BUNDLED / "calibration" / f"{source.name}.jsonl")
    return Path(source.path)


def _fetched(manifest: Path) -> Path:
    (name,) = fetched_files(manifest.parent)
    check_fetched(manifest.parent / name)
    return manifest.parent / name
