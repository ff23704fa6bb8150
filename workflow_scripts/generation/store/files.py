"""The files of a generation store: what is in them, and who may touch them when.

    store/FORMAT                      the version of all that follows
    store/LOCK                        held shared by jobs, alone by whoever removes completions
    store/{entry}/identity.json       what the completions of this folder come from
    store/{entry}/*.jsonl             completions, one file for each process that wrote some

A line is a CRC-32 (eight hex digits), a space and JSON. The first line of a file is an object, its
writer: `producer` says what computed the completions, `label` for which model and variant. Every
other line is a record: `[key, tokens, stopped_by]`, and where tokens skip sublayers also how many
of these there are and, in text, what each token ran. Files are only ever appended to, so a writer
that is killed leaves at worst a torn last line.
"""

import base64
import fcntl
import json
import os
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workflow_scripts.engines.interface import Completion
from workflow_scripts.errors import InputError

FORMAT = 2


@dataclass(eq=False)
class WriterFile:
    """What one file holds; `writer` is None where its line is missing or damaged."""

    path: Path
    writer: dict[str, Any] | None = None
    records: list["Record"] = field(default_factory=list)
    damaged: int = 0  # lines
    torn: bool = False


class Record(NamedTuple):
    """Where a completion is, and what decides which one serves; the rest `read_completion` reads.

    So that a store may hold more tokens than memory does. `offset` is in bytes, `count` in tokens.
    """

    key: str
    file: WriterFile
    offset: int
    count: int
    stopped_by: int | None

    def outranks(self, other: "Record") -> bool:
        """Whether this is the one to use, of two of one key, whatever order they were written in.

        A completion that ended by itself serves every request of its key, one that was cut serves
        those that ask for no more than it has; the rest only makes the order total.
        """
        mine, its = ((r.stopped_by is not None, r.count) for r in (self, other))
        if mine == its:
            mine, its = ((read_completion(r).tokens, r.stopped_by) for r in (self, other))
        return mine > its


def encode(value: Any) -> bytes:
    """A line: the writer's object or a record's list, with its checksum."""
    body = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def encode_record(key: str, completion: Completion) -> bytes:
    routes, rest = completion.routes, []
    if routes is not None:
        packed = zlib.compress(np.packbits(routes).tobytes())
        rest = [routes.shape[1], base64.b64encode(packed).decode()]
    return encode([key, list(completion.tokens), completion.stopped_by, *rest])


def _routes(tokens: int, sublayers: int, text: str) -> NDArray[np.bool_]:
    bits = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8)
    return np.unpackbits(bits, count=tokens * sublayers).reshape(tokens, -1).astype(bool)


def _body(line: bytes) -> bytes | None:
    """The JSON of a line, None where it is torn or damaged."""
    checksum, _, body = line.partition(b" ")
    whole = body.endswith(b"\n") and checksum == b"%08x" % zlib.crc32(body[:-1])
    return body[:-1] if whole else None


def read_file(path: Path) -> WriterFile:
    """Read a file as far as it is whole. Raises `InputError` for what is none."""
    if not path.is_file():  # opening a pipe would wait for ever
        state = "a link to nothing" if path.is_symlink() else "not a file"
        raise InputError(f"{path}: {state}; put the file back or remove it from the store")
    found, offset = WriterFile(path), 0
    with path.open("rb") as file:
        for line in file:
            body = _body(line)
            if body is not None and body.startswith(b"["):
                found.records.append(_record(found, offset, body))
            elif body is not None and offset == 0:
                found.writer = json.loads(body)
            elif line.endswith(b"\n"):
                found.damaged += 1
            else:
                found.torn = True
            offset += len(line)
    return found


def _record(file: WriterFile, offset: int, body: bytes) -> Record:
    """The record of `["key",[tokens],stopped_by]`, several times faster than by parsing it all."""
    key_end, tokens_end = body.index(b'"', 2), body.rindex(b"]", 0, -1)
    tokens_start = key_end + len('",[')
    count = body.count(b",", tokens_start, tokens_end) + (tokens_end > tokens_start)
    stopped_by = json.loads(b"[" + body[tokens_end + len("],") :])[0]
    return Record(body[2:key_end].decode(), file, offset, count, stopped_by)


def read_completion(record: Record) -> Completion:
    """All of a record, read from its file.

    Raises `InputError` where its line is not what it was when it was found.
    """
    path = record.file.path
    try:
        with path.open("rb") as file:
            file.seek(record.offset)
            body = _body(file.readline()) or b""
    except OSError as error:
        raise InputError(f"{path}: cannot read the store: {error.strerror or error}") from None
    if not body.startswith(b'["%s"' % record.key.encode()):
        raise InputError(
            f"{path}: a completion in it was damaged or removed while the store was in use; start "
            "again: it is generated again"
        )
    _, tokens, stopped_by, *rest = json.loads(body)
    put_in = len(tokens) - (stopped_by is None)  # the last one only if another came after it
    return Completion(tuple(tokens), stopped_by, _routes(put_in, *rest) if rest else None)


def read_entry(folder: Path) -> list[WriterFile]:
    """Every file of an entry's folder, by name; none where there is no such folder."""
    return [read_file(path) for path in sorted(folder.glob("*.jsonl"))]


def check_format(store: Path) -> None:
    """Raise `InputError` unless the store, where there is one, has this version's format."""
    try:
        found = (store / "FORMAT").read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return
    if found != str(FORMAT):
        raise InputError(
            f"{store}: this store has format {found[:20]!r}, this version reads and writes format "
            f"{FORMAT}: move or delete the folder and its completions are generated again, or use "
            "the version that wrote it"
        )


def prepare_folder(store: Path, entry: Path, identity: dict[str, Any]) -> None:
    """Make a store and an entry's folder in it, where they are not there."""
    entry.mkdir(parents=True, exist_ok=True)
    note = json.dumps(identity, indent=2, sort_keys=True)
    for path, text in ((store / "FORMAT", f"{FORMAT}"), (entry / "identity.json", note)):
        if path.exists():
            continue
        # processes on several nodes may come here at once: names of their own, equal contents
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            temporary.write_text(text + "\n", encoding="utf-8")
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def lock_shared(store: Path) -> int | None:
    """Keep records from being removed while this process lives; a file descriptor to close.

    Where the file system knows no locks, `locked_alone` cannot be had either.
    """
    try:
        lock = os.open(store / "LOCK", os.O_RDONLY | os.O_CREAT | os.O_NONBLOCK, 0o666)
    except OSError:
        return None  # a store that this process may only read
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


@contextmanager
def locked_alone(store: Path) -> Iterator[None]:
    """No job reads or writes the store in this block. Raises `InputError` where one does."""
    lock = None
    try:
        lock = os.open(store / "LOCK", os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if lock is not None:
            os.close(lock)
        reason = "a job is using it, wait until it has ended"
        if not isinstance(error, BlockingIOError):
            reason = f"it cannot be locked ({error.strerror})"
        raise InputError(f"{store}: {reason}; nothing was removed") from None
    try:
        yield
    finally:
        os.close(lock)
