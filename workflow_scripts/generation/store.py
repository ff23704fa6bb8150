"""The generation store: finished completions under the digest of all that determines them.

One folder holds the completions of one engine with one set of weights. Every process appends to a
file of its own there, one line a completion, so that any number of jobs on any number of nodes may
write at once without a lock. A line carries a checksum: what is torn or damaged is dropped on
reading, said in a line on stderr, and generated again.
"""

import json
import os
import socket
import sys
import uuid
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workflow_scripts.digests import value_digest
from workflow_scripts.errors import InputError
from workflow_scripts.generation.engine import Completion, Request

FORMAT = 1


class Store:
    """Completions of one generator; `identity` says which: weights, mask, engine and dtype."""

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self._identity = value_digest(identity)
        self.folder = folder / self._identity[:32]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check_format(folder)
        self._write_identity(identity)
        self._completions: dict[str, Completion] = {}
        for path in sorted(self.folder.glob("*.jsonl")):
            self._read(path)
        self._file: int | None = None

    def key(self, request: Request) -> str:
        """The digest under which a request's completion is kept."""
        return value_digest([self._identity, asdict(request)])

    def get(self, request: Request) -> Completion | None:
        """The stored completion of an equal request."""
        return self._completions.get(self.key(request))

    def add(self, request: Request, completion: Completion) -> None:
        """Keep a completion; it is with the operating system when this returns."""
        key = self.key(request)
        line = _encode(key, completion)
        if self._file is None:
            name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._file = os.open(self.folder / name, flags, 0o644)
        written = os.write(self._file, line)
        if written != len(line):  # a full disk takes a part; the rest must not start a broken line
            raise InputError(f"{self.folder}: could not write a whole record; is the disk full?")
        self._completions[key] = completion

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _check_format(self, folder: Path) -> None:
        """One store holds one format, so that an older program never misreads a newer store."""
        path = folder / "FORMAT"
        if not path.exists():
            temporary = path.with_name(f".FORMAT.{uuid.uuid4().hex}")
            temporary.write_text(f"{FORMAT}\n")
            os.replace(temporary, path)
        found = path.read_text().strip()
        if found != str(FORMAT):
            raise InputError(
                f"{folder}: the store has format {found!r}, this version reads {FORMAT}; "
                "use another folder or the version that wrote it"
            )

    def _write_identity(self, identity: dict[str, Any]) -> None:
        """A note for people who look into the store: what this folder's completions come from."""
        path = self.folder / "identity.json"
        if not path.exists():
            temporary = path.with_name(f".identity.{uuid.uuid4().hex}")
            temporary.write_text(json.dumps(identity, indent=2, sort_keys=True) + "\n")
            os.replace(temporary, path)

    def _read(self, path: Path) -> None:
        dropped = 0
        for line in path.read_bytes().splitlines(keepends=True):
            record = _decode(line)
            if record is None:
                dropped += 1
            else:
                self._completions[record[0]] = record[1]
        if dropped:
            print(f"store: {path}: dropped {dropped} damaged record(s)", file=sys.stderr)


def _encode(key: str, completion: Completion) -> bytes:
    body = json.dumps([key, completion.tokens, completion.stopped_by], separators=(",", ":"))
    return f"{zlib.crc32(body.encode()):08x} {body}\n".encode()


def _decode(line: bytes) -> tuple[str, Completion] | None:
    """The record of a line, None where it is torn or damaged."""
    checksum, _, body = line.partition(b" ")
    if not body.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(body[:-1]):
        return None
    key, tokens, stopped_by = json.loads(body)
    return key, Completion(tuple(tokens), stopped_by)
