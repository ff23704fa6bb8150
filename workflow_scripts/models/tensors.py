"""Tensors of safetensors files, read and written one at a time.

They are written in a fixed order, and metadata too, so that equal contents are equal bytes.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import written_atomically
from workflow_scripts.models.tensor_files import TensorFile

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
OPENED_FOR = 64_000_000  # bytes
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def read_tensor(file: TensorFile, name: str) -> Tensor:
    """Read one tensor in its own dtype. Raises `InputError` where it is missing or unreadable.

    The file is open no longer than that: its pages would stay in memory, and a walk over a model
    would end with the whole model there. The tensor is aligned as torch aligns tensors, for the
    rounding of some kernels depends on it.
    """
    return _read(file, name, lambda tensor: tensor.clone())


def read_parts(file: TensorFile, name: str) -> Iterator[tuple[slice, Tensor]]:
    """Read one tensor a part of its rows at a time: which rows, and the part, (rows, ...).

    A part and what is in memory of the file are OPENED_FOR bytes at most, or one row.
    """
    dtype, shape = _dtype(file, name), file.entries[name].shape
    step = max(1, OPENED_FOR // max(1, math.prod(shape[1:]) * dtype.itemsize))

    def take(tensor: Tensor) -> Tensor:
        return tensor[rows]

    for start in range(0, shape[0], step):
        rows = slice(start, start + step)
        yield rows, _read(file, name, take)


def read_rows(file: TensorFile, name: str, rows: Sequence[int]) -> Tensor:
    """Read some rows of a tensor, shape (rows, ...), without reading the others."""
    return _read(file, name, lambda tensor: tensor[list(rows)])


def _read(
    file: TensorFile, name: str, take: Callable[[Tensor], Tensor], source: Any = None
) -> Tensor:
    _dtype(file, name)
    try:
        with nullcontext(source) if source else safe_open(file.path, "pt") as opened:
            return take(opened.get_tensor(name))
    except (OSError, SafetensorError) as error:
        raise _unreadable(file, error) from None


def _dtype(file: TensorFile, name: str) -> torch.dtype:
    if name not in file.entries:
        raise InputError(f"{file.path}: has no tensor {name}")
    dtype = file.entries[name].dtype
    if dtype not in DTYPES:
        raise InputError(f"{file.path}: {name} is {dtype}, which is none of {', '.join(DTYPES)}")
    return DTYPES[dtype]


def _unreadable(file: TensorFile, error: Exception) -> InputError:
    return InputError(f"{file.path}: cannot be read any more: {' '.join(str(error).split())}")


class StoredTensors(Mapping[str, Tensor]):
    """The tensors of a file by name, each read when asked for.

    The file is opened again for every OPENED_FOR bytes: more would stay in memory, and to open it
    for each of the ten thousands of linears that experts have would take hours.
    """

    def __init__(self, file: TensorFile) -> None:
        self.file = file
        self._source, self._bytes = None, 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_source": None}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.file.entries:
            raise KeyError(name)
        if self._source is None or self._bytes > OPENED_FOR:
            try:
                self._source, self._bytes = safe_open(self.file.path, "pt"), 0
            except (OSError, SafetensorError) as error:
                raise _unreadable(self.file, error) from None
        tensor = _read(self.file, name, lambda tensor: tensor.clone(), self._source)
        self._bytes += tensor.nbytes
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.file.entries)

    def __len__(self) -> int:
        return len(self.file.entries)


def tensor_bytes(tensor: Tensor) -> memoryview:
    """A tensor's bytes in row-major order."""
    return memoryview(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())


def tensor_digest(tensor: Tensor) -> str:
    """sha256 of a tensor's bytes, as hex."""
    return hashlib.sha256(tensor_bytes(tensor)).hexdigest()


@contextmanager
def tensor_writer(
    path: Path,
    layout: Mapping[str, tuple[torch.dtype, Sequence[int]]],
    metadata: Mapping[str, str],
    *,
    checksum: bool = True,
) -> Iterator[Callable[[str, Tensor], None]]:
    """Write a safetensors file from tensors that are put into it in any order, atomically.

    `layout` gives every tensor's dtype and shape ahead. Wide dtypes lie first, so that every tensor
    is aligned, and names are sorted within a width.
    """
    header: dict[str, Any] = {}
    if metadata:
        header["__metadata__"] = dict(sorted(metadata.items()))
    begins, end = {}, 0
    for name in sorted(layout, key=lambda name: (-layout[name][0].itemsize, name)):
        dtype, shape = layout[name]
        begins[name], end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {
            "dtype": DTYPE_NAMES[dtype],
            "shape": list(shape),
            "data_offsets": [begins[name], end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with written_atomically(path, checksum=checksum) as temporary, temporary.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)

        def put(name: str, tensor: Tensor) -> None:
            if (tensor.dtype, tuple(tensor.shape)) != (layout[name][0], tuple(layout[name][1])):
                raise ValueError(f"{name} is {tensor.dtype} {tuple(tensor.shape)}")
            file.seek(8 + len(text) + begins.pop(name))
            file.write(tensor_bytes(tensor))

        yield put
        if begins:
            raise ValueError(f"tensors never came: {', '.join(begins)}")


def write_tensors(
    path: Path,
    layout: Mapping[str, tuple[torch.dtype, Sequence[int]]],
    tensors: Iterable[tuple[str, Tensor]],
    metadata: Mapping[str, str],
    *,
    checksum: bool = True,
) -> None:
    """Write a safetensors file from tensors that come one by one; see `tensor_writer`."""
    with tensor_writer(path, layout, metadata, checksum=checksum) as put:
        for name, tensor in tensors:
            put(name, tensor)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors that are all in memory as a safetensors file, atomically."""
    layout = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}
    write_tensors(path, layout, tensors.items(), metadata)
