"""Files of texts, read row by row: JSON lines, plain text, both also as .gz, and parquet.

A row is `{"prompt": ..., "completion": ...}` or `{"text": ...}`. Of rows with other fields, as in a
public corpus, `column` names the one that holds the text, or `pair` says what prompt and completion
are made of: texts with the names of fields in braces, as in `"{question}"`. Every non-empty line of
a .txt file is a text, and so is every cell of the column `column` (else `text`) of a .parquet file.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from workflow_scripts.errors import InputError

LINES = (".jsonl", ".json", ".txt")
SUFFIXES = (*LINES, *(f"{suffix}.gz" for suffix in LINES), ".parquet")
ROW_FIELDS = ({"prompt", "completion"}, {"text"})
ROWS_AT_ONCE = 1024

# What no file of texts comes near, and one made to fill memory or disk does. Text shrinks to a
# third or a tenth; gzip can shrink zeros a thousandfold.
MAX_LINE = 1 << 28  # bytes
MAX_UNPACKED = 100  # times the file's own size, once it comes to more than a line may

_FIELD = re.compile(r"\{([^{}]+)\}")

Pair = Mapping[str, str]


def numbered_rows(
    path: Path, column: str | None = None, pair: Pair | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a file, each with the number of its line (from 1; of a .parquet row, from 0).

    A file is never in memory as a whole. Raises `InputError` for a file that cannot be read or is
    damaged, naming the line that is no row.
    """
    if not path.name.endswith(SUFFIXES):
        raise InputError(f"{path}: a file of texts is {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    if path.suffix == ".parquet":
        yield from _parquet_rows(path, column or "text", pair)
        return
    plain = path.name.removesuffix(".gz").endswith(".txt")
    for number, line in _numbered_lines(path):
        where = f"{path}:{number}"
        text = _decoded(line, where)
        if text.strip():
            yield number, {"text": text} if plain else _row(text, column, pair, where)


def _numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, split at line feeds alone: others may stand inside a JSON string."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        most = _most_unpacked(path)
        read = 0
        with opened(path, "rb") as file:
            for number in count(1):
                line = file.readline(MAX_LINE + 1)
                if not line:
                    return
                read += len(line)
                if len(line) > MAX_LINE:
                    raise InputError(f"{path}:{number}: a line of more than {MAX_LINE} bytes")
                if read > most:
                    raise _too_much(path)
                yield number, line.rstrip(b"\r\n")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: truncated or damaged ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _most_unpacked(path: Path) -> int:
    """Bytes that a file may unpack to."""
    return max(MAX_LINE, MAX_UNPACKED * path.stat().st_size)


def _too_much(path: Path) -> InputError:
    return InputError(
        f"{path}: unpacks to more than {MAX_UNPACKED} times its size, which no file of texts does"
    )


def _decoded(line: bytes, where: str) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not UTF-8 ({error.reason} at byte {error.start})") from None


def _row(line: str, column: str | None, pair: Pair | None, where: str) -> dict[str, str]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not valid JSON ({error})") from None
    if pair is not None:
        return _filled(pair, row, where)
    if column is not None:
        return {"text": _text(row, column, where)}
    if not isinstance(row, dict) or set(row) not in ROW_FIELDS:
        raise InputError(f"{where}: a row has the fields prompt and completion, or the field text")
    return {name: _text(row, name, where) for name in row}


def _text(row: Any, name: str, where: str) -> str:
    if not isinstance(row, dict) or name not in row:
        there = ", ".join(map(str, row)) if isinstance(row, dict) else type(row).__name__
        raise InputError(f"{where}: has no field {name!r}; there: {there}")
    if not isinstance(row[name], str):
        raise InputError(f"{where}: field {name!r} is {repr(row[name])[:60]}, not a string")
    return row[name]


def _filled(pair: Pair, row: Any, where: str) -> dict[str, str]:
    """The prompt and the completion that a row makes."""
    return {
        part: _FIELD.sub(lambda match: _text(row, match[1], where), template)
        for part, template in pair.items()
    }


def _parquet_rows(
    path: Path, column: str, pair: Pair | None
) -> Iterator[tuple[int, dict[str, str]]]:
    from pyarrow import ArrowException, parquet

    wanted = [column] if pair is None else sorted({*_FIELD.findall("".join(pair.values()))})
    try:
        with parquet.ParquetFile(path) as file:
            for name in wanted:
                if name not in file.schema_arrow.names:
                    there = ", ".join(file.schema_arrow.names)
                    raise InputError(f"{path}: has no column {name!r}; there: {there}")
            groups = map(file.metadata.row_group, range(file.metadata.num_row_groups))
            if sum(group.total_byte_size for group in groups) > _most_unpacked(path):
                raise _too_much(path)
            number = 0
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=wanted):
                for row in batch.to_pylist():
                    where = f"{path}, row {number}"
                    if pair is None:
                        yield number, {"text": _text(row, column, where)}
                    else:
                        yield number, _filled(pair, row, where)
                    number += 1
    except ArrowException as error:
        raise InputError(f"{path}: not a parquet file or damaged ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
