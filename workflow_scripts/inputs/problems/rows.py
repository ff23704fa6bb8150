"""Rows of a file of problems, each with the place that an error message should name.

They come one by one, so that whoever needs the first ones alone reads no more of a large file.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from workflow_scripts.errors import InputError
from workflow_scripts.files import strict_json
from workflow_scripts.files.user_rows import parquet_rows

CSV_ROWS_AT_ONCE = 1000


class Row(NamedTuple):
    """One row as it was found; `where` is `file:line`, or the file or data set and the row."""

    where: str
    values: Mapping[str, Any]


def rows_of_jsonl(path: Path) -> Iterator[Row]:
    """Rows of a JSONL file. Raises `InputError` for a line that is not a JSON object.

    Only at the end of the file may there be empty lines.
    """
    empty: list[str] = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                where = f"{path}:{number}"
                if not line.strip():
                    empty.append(where)
                    continue
                for one in empty:
                    _json_row(b"", one)
                yield _json_row(line.rstrip(), where)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _json_row(line: bytes, where: str) -> Row:
    try:
        values = strict_json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not valid JSON ({error})") from None
    if not isinstance(values, dict):
        raise InputError(f"{where}: expected a JSON object, found {type(values).__name__}")
    return Row(where, values)


def rows_of_csv(path: Path) -> Iterator[Row]:
    """Rows of a CSV file, from 1, by the names in its first line; every value is a text."""
    import pandas as pd

    options = {"dtype": str, "na_filter": False, "encoding": "utf-8-sig"}
    numbers = count(1)
    try:
        (head,) = pd.read_csv(path, header=None, nrows=1, **options).values.tolist()
        for name in head:
            if head.count(name) > 1:  # pandas gives the second one another name
                raise ValueError(f"the column {name!r} stands twice")
        with pd.read_csv(path, chunksize=CSV_ROWS_AT_ONCE, **options) as chunks:
            for chunk in chunks:
                for values in chunk.to_dict("records"):
                    yield Row(f"{path}, row {next(numbers)}", values)
    except (OSError, ValueError) as error:  # what pandas raises is such
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read ({reason})") from None


def rows_of_parquet(path: Path) -> Iterator[Row]:
    """Rows of a parquet file, counted from 0."""
    for number, row in enumerate(parquet_rows(path)):
        yield Row(f"{path}, row {number}", row)


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": rows_of_jsonl,
    ".csv": rows_of_csv,
    ".parquet": rows_of_parquet,
}


def rows_of_file(path: Path) -> Iterator[Row]:
    """Rows of a file of the user, read as its suffix says."""
    if path.suffix not in READERS:
        raise InputError(f"{path}: a file of problems is one of {', '.join(READERS)}")
    return READERS[path.suffix](path)
