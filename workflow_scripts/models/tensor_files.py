"""Safetensors files by their headers: what tensors a file holds. No torch here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.errors import InputError
from workflow_scripts.files.checksums import verify_checksum


@dataclass(frozen=True)
class Entry:
    """A tensor's dtype, as safetensors names it, and shape."""

    dtype: str
    shape: tuple[int, ...]


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
    from safetensors import SafetensorError, safe_open  # the rules do without it

    if checksum:
        verify_checksum(path)
    try:
        path.stat()
        with safe_open(path, "numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            entries = {
                name: Entry(found.get_dtype(), tuple(found.get_shape()))
                for name, found in slices.items()
            }
            return TensorFile(path, entries, file.metadata() or {})
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except SafetensorError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: damaged, truncated or no safetensors file: {reason}") from None
