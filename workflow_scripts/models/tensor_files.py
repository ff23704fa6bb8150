"""Safetensors files by their headers: what tensors a file holds, and whether it is whole.

A file is eight bytes of header length (little endian), a JSON header and the raw tensors that the
header's offsets point into, and nothing else.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.errors import InputError
from workflow_scripts.files.checksums import verify_checksum

ITEM_BITS = {
    "C64": 64, "F64": 64, "I64": 64, "U64": 64,
    "F32": 32, "I32": 32, "U32": 32,
    "F16": 16, "BF16": 16, "I16": 16, "U16": 16,
    "F8_E4M3": 8, "F8_E4M3FNUZ": 8, "F8_E5M2": 8, "F8_E5M2FNUZ": 8, "F8_E8M0": 8,
    "I8": 8, "U8": 8, "BOOL": 8,
    "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}  # fmt: skip
_LONGEST_HEADER = 100_000_000  # bytes; the format's own bound


@dataclass(frozen=True)
class Entry:
    """Where a tensor lies: dtype as the header names it, shape, first byte and end in the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class TensorFile:
    """A safetensors file of which only the header has been read."""

    path: Path
    entries: Mapping[str, Entry]
    metadata: Mapping[str, str]


def open_tensors(path: Path, *, checksum: bool = True) -> TensorFile:
    """Read a safetensors header and hold it against the file's size.

    Raises `InputError` where the file is missing, truncated, no safetensors file or not what its
    checksum says. `checksum` is off for a file that another digest covers.
    """
    if checksum:
        verify_checksum(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > _LONGEST_HEADER:
                raise InputError(f"{path}: not a safetensors file")
            if size < 8 + length:
                raise InputError(f"{path}: truncated: {size} bytes, header ends at {8 + length}")
            header = json.loads(file.read(length))
        metadata = header.pop("__metadata__", {})
        entries = {name: _entry(entry, 8 + length) for name, entry in header.items()}
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise InputError(f"{path}: damaged: its safetensors header cannot be read") from None
    end = 8 + length
    for entry in sorted(entries.values(), key=lambda entry: (entry.begin, entry.end)):
        if entry.begin != end:
            raise InputError(f"{path}: damaged: the tensors of its header overlap or leave holes")
        end = entry.end
    if size != end:
        damage = "truncated" if size < end else "damaged"
        raise InputError(f"{path}: {damage}: {size} bytes, header says {end}")
    return TensorFile(path, entries, metadata)


def _entry(entry: Mapping[str, Any], data: int) -> Entry:
    begin, end = entry["data_offsets"]
    shape = tuple(int(length) for length in entry["shape"])
    dtype = str(entry["dtype"])
    if 8 * (end - begin) != math.prod(shape) * ITEM_BITS[dtype]:
        raise ValueError("shape and offsets disagree")
    return Entry(dtype, shape, data + int(begin), data + int(end))
