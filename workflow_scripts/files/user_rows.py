"""What rows of texts and rows of problems have in common, in files of the user."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from workflow_scripts.errors import InputError

ROWS_AT_ONCE = 64
BUFFER = 2**20  # bytes of a column
MAX_BYTES = 2**30  # that a packed file may hold, unless it is large itself:
MAX_RATIO = 100  # its size times this; texts reach about 10


def check_characters(text: str, where: str) -> None:
    """Raise `InputError` for half of a surrogate pair, which JSON can hold and no file or model."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"{ord(text[error.start]):x}"
        raise InputError(
            f"{where}: character {error.start} is \\u{half}, half of a character without the other"
        ) from None


def parquet_rows(path: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a parquet file with these columns, or all; it is never in memory as a whole.

    Raises `InputError` for a file that is not readable, lacks a column, holds a text that is not
    UTF-8, or unpacks to too much (see `bounded`).
    """
    from pyarrow import ArrowException, parquet

    wanted = None if columns is None else list(dict.fromkeys(columns))
    try:
        # without both, a column of a whole group of rows, maybe of all rows, is read at once
        with parquet.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:
            there = file.schema_arrow.names
            for name in wanted or ():
                if name not in there:
                    raise InputError(f"{path}: has no column {name!r}; there: {', '.join(there)}")
            batches = file.iter_batches(ROWS_AT_ONCE, columns=wanted)
            rows = (row for batch in batches for row in batch.to_pylist())
            yield from bounded(rows, path.stat().st_size, str(path))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: a text in it is not UTF-8 ({error.reason})") from None
    except ArrowException as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a parquet file or damaged ({reason})") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def bounded(rows: Iterable[dict[str, Any]], size: int, where: str) -> Iterator[dict[str, Any]]:
    """Rows as they come. Raises `InputError` where files of `size` bytes cannot be meant to hold
    so much: a few kB can unpack to more than any memory.
    """
    limit = max(MAX_BYTES, MAX_RATIO * size)
    unpacked = 0
    for row in rows:
        unpacked += _size(row)
        if unpacked > limit:
            raise InputError(f"{where}: unpacks to more than {limit:,} bytes")
        yield row


def _size(value: Any) -> int:
    """About how many bytes a value has."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list) else 8
