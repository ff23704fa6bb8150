"""The rows that a calibration set is drawn from, wherever they come from.

Rows are kept in an unnamed file on disk, one JSON value a line, and read by number: a corpus of any
size is gone through once, and only the rows that are drawn are tokenised.
"""

import json
import random
import tempfile
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.artefacts.records import Grade, TokenSequence, Trace, read_records
from workflow_scripts.config.sources.base import Source
from workflow_scripts.config.sources.texts import GeneratedTexts
from workflow_scripts.errors import InputError
from workflow_scripts.files.bundled import BUNDLED, check_bundled
from workflow_scripts.inputs.text_files import numbered_rows
from workflow_scripts.models.manifests import check_fetched, fetched_files

TRACES = ("traces", "grades", "sequences")


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


def shuffled(rows: Iterable[Any], seed: int) -> list[Any]:
    """The rows in an order that the seed alone determines."""
    rows = list(rows)
    random.Random(seed).shuffle(rows)
    return rows


def open_rows(
    source: Source, corpus: Path | None, traces: Mapping[str, Path], folder: Path
) -> Rows:
    """The rows of a source; `folder` is where they are kept on disk.

    `corpus` is the manifest of a source of kind hub, `traces` the files of a source of kind
    generated, by TRACES. Raises `InputError` for a source that is not there or not readable.
    """
    if isinstance(source, GeneratedTexts):
        return _trace_rows(source, traces, folder)
    path = source_file(source, corpus)
    rows = (row for _, row in numbered_rows(path, **source.form()))
    return Rows(rows, str(path), folder)


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


def _trace_rows(source: GeneratedTexts, files: Mapping[str, Path], spool: Path) -> Rows:
    """Token ids of the traces and answers that pass the source's filters, in their order.

    A trace that several reasons speak against is counted under the first.
    """
    traces = {_key(t): t for t in read_records(files["traces"], Trace)}
    grades = {_key(g): g for g in read_records(files["grades"], Grade)}
    sequences = read_records(files["sequences"], TokenSequence)
    if {_key(s) for s in sequences} != traces.keys() or traces.keys() != grades.keys():
        where = files["traces"]
        raise InputError(f"{where}: traces, grades and sequences are of different runs")
    accuracy = _accuracy(grades.values())
    passed: list[list[int]] = []
    refused: dict[str, int] = {}
    for sequence in sequences:
        key = _key(sequence)
        why = _against(source, traces[key].tokens, accuracy[sequence.id], grades[key].correct)
        if why is None:
            passed.append(sequence.ids)
        else:
            refused[why] = refused.get(why, 0) + 1
    counts = "".join(f", {count} {why}" for why, count in sorted(refused.items()))
    where = f"traces of benchmark {source.benchmark!r} ({len(passed)} of {len(traces)}{counts})"
    return Rows(passed, where, spool)


def _key(record: Trace | Grade | TokenSequence) -> tuple[str, int]:
    return record.id, record.repeat


def _accuracy(grades: Iterable[Grade]) -> dict[str, float]:
    """The part of its repeats that are right, by problem."""
    right: dict[str, list[bool]] = {}
    for grade in grades:
        right.setdefault(grade.id, []).append(grade.correct)
    return {identity: sum(found) / len(found) for identity, found in right.items()}


def _against(source: GeneratedTexts, tokens: int, accuracy: float, correct: bool) -> str | None:
    """What speaks against a trace, or None."""
    if tokens < source.min_tokens:
        return "too short"
    if source.max_tokens is not None and tokens > source.max_tokens:
        return "too long"
    if accuracy < source.min_accuracy:
        return "of too hard problems"
    if accuracy > source.max_accuracy:
        return "of too easy problems"
    return "wrong" if source.correct_only and not correct else None
