"""The generation store: finished completions under the digest of all that determines them.

One folder, an entry, holds the completions of one engine with one set of weights. A completion's
key is the digest of its request without `max_tokens`, since what a smaller cap leaves is the
beginning of what a larger one does. In memory is only where completions are; their tokens are
read when they are asked for. Every process appends to a file of its own, so that any number of jobs
on any number of nodes may write at once; what is torn or damaged is dropped on reading, said in a
line on stderr, and generated again. `store_files` has the layout.
"""

import os
import socket
import sys
import uuid
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from workflow_scripts.engines.interface import Completion, Request
from workflow_scripts.errors import InputError, one_line
from workflow_scripts.files.digests import value_digest
from workflow_scripts.generation.store.files import (
    Record,
    WriterFile,
    check_format,
    encode,
    encode_record,
    lock_shared,
    prepare_folder,
    read_completion,
    read_entry,
)

KEY_DIGITS = 32
LATEST_READ = 64  # completions; a sweep asks for the same ones several times in a row


class Store:
    """Completions of one entry; `identity` says which: weights, mask, engine, dtype.

    `label` (model and variant) is a note for people who look into the store. A store that is only
    read is not written to, not even made. Raises `InputError` for a store of another format.
    """

    def __init__(self, store: Path, identity: dict[str, Any], label: str = "") -> None:
        self._store, self._identity, self._label = store, identity, label
        digest = value_digest(identity)
        self._digest = digest.encode()
        self.folder = store / digest[:KEY_DIGITS]
        self._file: int | None = None
        self._writer: dict[str, Any] = {}
        self._own: WriterFile | None = None
        self._size = 0  # bytes of the file that this process writes
        self._records: dict[str, Record] = {}
        self._read = lru_cache(LATEST_READ)(read_completion)
        check_format(store)
        self._lock = lock_shared(store) if store.exists() else None
        for file in read_entry(self.folder):
            _say_damage(file)
            for record in file.records:
                self._remember(record)

    def key(self, request: Request) -> str:
        """The digest under which a request's completion is kept, whatever its cap."""
        said = {"prompt": (), "max_tokens": 0, "stop": sorted({*request.stop})}
        rest = vars(request) | said | {"sampling": vars(request.sampling)}
        digest = sha256(self._digest + value_digest(rest).encode())
        digest.update(array("i", request.prompt).tobytes())
        return digest.hexdigest()[:KEY_DIGITS]

    def get(self, request: Request) -> Completion | None:
        """What the store has for a request: whole, or cut where the request asks for less.

        None also where the stored completion was cut earlier than the request would cut it.
        """
        record = self._records.get(self.key(request))
        if record is None or not _can_serve(record, request.max_tokens):
            return None
        whole = self._read(record)
        # a stop token needs one token more than there are, so an equal cap comes before it
        if record.stopped_by is not None and len(whole.tokens) < request.max_tokens:
            return whole
        return whole.cut(request.max_tokens)

    def has(self, request: Request) -> bool:
        """Whether `get` has something for a request, without reading it."""
        record = self._records.get(self.key(request))
        return record is not None and _can_serve(record, request.max_tokens)

    def fingerprint_of(self, request: Request) -> dict[str, str] | None:
        """What computed the stored completion of a request; None where its note is damaged."""
        return (self._records[self.key(request)].file.writer or {}).get("producer")

    def was_cut_earlier(self, request: Request) -> bool:
        """Whether the store has the beginning of a completion that it cannot serve."""
        return not self.has(request) and self.key(request) in self._records

    def write_as(self, fingerprint: dict[str, str]) -> None:
        """Say what computes the completions that will be added."""
        self._writer = {"label": self._label, "producer": fingerprint}

    def add(self, request: Request, completion: Completion) -> None:
        """Keep a completion; it is with the operating system when this returns.

        Raises `InputError` where it cannot be written, for instance on a full disk; whatever was
        added before is kept.
        """
        key, stopped_by = self.key(request), completion.stopped_by
        line = encode_record(key, completion)
        with self._clear_errors():
            if self._file is None:
                self._open()
            _write_whole(self._file, line)
        self._remember(Record(key, self._own, self._size, len(completion.tokens), stopped_by))
        self._size += len(line)

    def close(self) -> None:
        """Hand everything to the disk. Raises `InputError` where that fails."""
        try:
            if self._file is not None:
                with self._clear_errors():
                    os.fsync(self._file)  # some file systems tell only now that they are full
        finally:
            for descriptor in (self._file, self._lock):
                if descriptor is not None:
                    os.close(descriptor)
            self._file = self._lock = None

    def _open(self) -> None:
        prepare_folder(self._store, self.folder, self._identity)
        self._lock = self._lock or lock_shared(self._store)
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
        self._own = WriterFile(self.folder / name, self._writer)
        self._file = os.open(self._own.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        line = encode(self._writer)
        _write_whole(self._file, line)
        self._size = len(line)

    def _remember(self, record: Record) -> None:
        known = self._records.get(record.key)
        if known is None or record.outranks(known):
            self._records[record.key] = record

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if self._file is not None:
                os.close(self._file)  # it may end in a part of a line
                self._file = None
            raise InputError(
                f"{self.folder}: cannot write to the store: {error.strerror or error}; the "
                "completions before are kept: mend that and start again, it goes on from there"
            ) from None


def _can_serve(record: Record, max_tokens: int) -> bool:
    return record.stopped_by is not None or record.count >= max_tokens


def _write_whole(file: int, line: bytes) -> None:
    while line:
        line = line[os.write(file, line) :]


def _say_damage(file: WriterFile) -> None:
    where = one_line(f"store: {file.path}")
    if file.torn:
        print(f"{where}: the last line is torn and dropped", file=sys.stderr)
    if file.damaged:
        print(
            f"{where}: {file.damaged} damaged line(s) dropped; what stood there is generated again "
            "where it is needed",
            file=sys.stderr,
        )
