"""Files of texts, read row by row: JSON lines, plain text, both also as .gz, and parquet.

A row is `{"prompt": ..., "completion": ...}` or `{"text": ...}`. Of rows with other fields, as in a
public corpus, `column` names the one that holds the text, or `pair` says what prompt and completion
are made of: texts with the names of fields in braces, as in `"{question}"`. `"{attempt|Answer: }"`
is the field without the space around it, after `Answer: ` where it does not hold that already. Or
`turns` names the one that holds a conversation, a list of turns that have a `role` and a `content`,
or a `from` and a `value`: its first question and the answer to it are the row.
Every non-empty line of a .txt file is a text, and so is every cell of the column `column` (else
`text`) of a .parquet file. A .json file may also be one list of rows.
"""

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from workflow_scripts.errors import InputError
from workflow_scripts.files import strict_json
from workflow_scripts.files.user_rows import check_characters, parquet_rows

LINES = (".jsonl", ".json", ".txt")
SUFFIXES = (*LINES, *(f"{suffix}.gz" for suffix in LINES), ".parquet")
ROW_FIELDS = ({"prompt", "completion"}, {"text"})
# who speaks in a turn, by the names that data sets have for them; others say neither
ROLES = {"user": "prompt", "human": "prompt", "assistant": "completion", "gpt": "completion"}
_FIELD = re.compile(r"\{([^{}|]+)(?:\|([^{}]*))?\}")  # a name, and what to put before it

Pair = Mapping[str, str]


def numbered_rows(
    path: Path, column: str | None = None, pair: Pair | None = None, turns: str | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a file, each with the number of its line (from 1; of a row in a .parquet file or
    a list, from 0).

    Only a list is in memory as a whole. Raises `InputError` for a file that cannot be read or is
    damaged, naming the line that is no row.
    """
    if not path.name.endswith(SUFFIXES):
        raise InputError(f"{path}: a file of texts is {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    if path.suffix == ".parquet":
        column = column or "text"
        wanted = [turns or column]
        if pair is not None:
            wanted = [name for name, _ in _FIELD.findall("".join(pair.values()))]
        for number, row in enumerate(parquet_rows(path, wanted)):
            yield number, _made(row, column, pair, turns, f"{path}, row {number}")
        return
    lines = _numbered_lines(path)
    if path.name.removesuffix(".gz").endswith(".txt"):
        yield from ((number, {"text": text}) for number, text in lines)
        return
    first = next(lines, None)
    if first is None:
        return
    lines = chain([first], lines)
    if path.suffix == ".json" and first[1].lstrip().startswith("["):
        whole = _json("\n".join(text for _, text in lines), str(path))
        for number, row in enumerate(whole):
            yield number, _made(row, column, pair, turns, f"{path}, row {number}")
        return
    for number, text in lines:
        where = f"{path}:{number}"
        yield number, _made(_json(text, where), column, pair, turns, where)


def pairs_of_file(path: Path, pair: Pair | None = None) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a prompt and a completion, each with its file and line; otherwise as `numbered_rows`.

    Raises `InputError` also for a row that is a text.
    """
    for number, row in numbered_rows(path, pair=pair):
        where = f"{path}:{number}"
        if "text" in row:
            raise InputError(f"{where}: influence needs a prompt and a completion, not a text")
        yield where, row


def _numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that hold something, split at line feeds alone: others may be inside a text."""
    number = 1
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            for number, line in enumerate(file, 1):
                # a byte order mark is a mark of the file, not a part of its first text
                text = line.rstrip(b"\r\n").decode("utf-8-sig" if number == 1 else "utf-8")
                if text.strip():
                    yield number, text
    except UnicodeDecodeError as error:
        where = f"{path}:{number}"
        raise InputError(f"{where}: not UTF-8 ({error.reason} at byte {error.start})") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: truncated or damaged ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _json(line: str, where: str) -> Any:
    try:
        return strict_json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not valid JSON ({error})") from None


def _made(
    row: Any, column: str | None, pair: Pair | None, turns: str | None, where: str
) -> dict[str, str]:
    """What a row of a file makes: a text, or a prompt and a completion."""
    if turns is not None:
        return _first_exchange(row, turns, where)
    if pair is not None:
        return {
            part: _FIELD.sub(lambda match: _field(row, match, where), template)
            for part, template in pair.items()
        }
    if column is not None:
        return {"text": _text(row, column, where)}
    if not isinstance(row, dict) or set(row) not in ROW_FIELDS:
        raise InputError(f"{where}: a row has the fields prompt and completion, or the field text")
    return {name: _text(row, name, where) for name in row}


def _field(row: Any, match: re.Match[str], where: str) -> str:
    text, lead = _text(row, match[1], where), match[2]
    if lead is None:
        return text
    return text.strip() if lead.strip() in text else lead + text.strip()


def _first_exchange(row: Any, name: str, where: str) -> dict[str, str]:
    """The first question of a conversation and the answer to it."""
    found: dict[str, str] = {}
    turns = _value(row, name, where)
    for turn in turns if isinstance(turns, list) else ():
        is_role = isinstance(turn, dict) and "role" in turn
        keys = ("role", "content") if is_role else ("from", "value")
        who, said = (_text(turn, key, f"{where}: field {name!r}") for key in keys)
        part = ROLES.get(who)
        if part and (part == "prompt" or "prompt" in found):
            found.setdefault(part, said)
        if len(found) == len(set(ROLES.values())):
            return found
    raise InputError(f"{where}: field {name!r} has no question that is answered")


def _value(row: Any, name: str, where: str) -> Any:
    if not isinstance(row, dict) or name not in row:
        there = ", ".join(map(str, row)) if isinstance(row, dict) else type(row).__name__
        raise InputError(f"{where}: has no field {name!r}; there: {there}")
    return row[name]


def _text(row: Any, name: str, where: str) -> str:
    _value(row, name, where)
    if not isinstance(row[name], str):
        raise InputError(f"{where}: field {name!r} is {repr(row[name])[:60]}, not a string")
    check_characters(row[name], f"{where}: field {name!r}")
    return row[name]
