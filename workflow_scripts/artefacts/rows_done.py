"""What rows add up to, kept on disk while a stage goes through them: a killed one goes on from it.

    results/reasoner/influence/.chains.json.rows/along.safetensors

Rows are those of a set, or the generations of a search, of which the last is all that is kept.

A file for each step, as it was after some row: written whole or not at all, and of use only to the
same request. Writing takes at most a twentieth of the time, so that small sums are kept after every
row and an averaged gradient of 30 GB every 20 minutes. A file that cannot be read counts as none.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import remove
from workflow_scripts.files.digests import file_digest, value_digest
from workflow_scripts.jobs.source_digests import source_digest
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import read_tensor, write_tensors

TIMES = 20  # as long as writing takes passes before sums are written again
DISK = 500e6  # bytes a second, assumed


def request_of(
    model_digest: str,
    options: Mapping[str, Any],
    files: Iterable[Path],
    device: str,
    *modules: str,
) -> str:
    """A digest of what a stage makes an output from: model, options, files, device, its code."""
    made_from = [model_digest, options, [*map(file_digest, files)], source_digest(*modules)]
    return value_digest([*made_from, device, torch.get_num_threads(), torch.__version__])


class RowsDone:
    """The steps on the way to `output`; `request` is a digest of all that its sums depend on."""

    def __init__(self, output: Path, request: str) -> None:
        self._folder = output.with_name(f".{output.name}.rows")
        self._request = request

    def rows(self, step: str, sums: Mapping[str, Tensor], count: int) -> Iterator[int]:
        """The numbers below `count` of the rows that are left; `sums` become what they were there.

        The caller changes `sums` in place, and has done with a row when it asks for the next.
        """
        file = self._folder / f"{step}.safetensors"
        first = self._restored(file, sums)
        if first:
            print(f"{step}: {first} of {count} rows were done before", flush=True)
        seconds = TIMES * sum(tensor.nbytes for tensor in sums.values()) / DISK
        written = time.monotonic()
        for number in range(first, count):
            yield number
            if time.monotonic() - written >= seconds:
                self._write(file, sums, number + 1)
                written = time.monotonic()

    def forget(self) -> None:
        """Remove the files: the output is there."""
        remove(self._folder)

    def _restored(self, file: Path, sums: Mapping[str, Tensor]) -> int:
        """Bring sums to where a file has them; after how many rows that is."""
        try:
            found = open_tensors(file)
        except InputError:
            return 0
        if found.metadata.get("request") != self._request:
            return 0
        for name, tensor in sums.items():
            tensor.copy_(read_tensor(found, name))
        return int(found.metadata["rows"])

    def _write(self, file: Path, sums: Mapping[str, Tensor], rows: int) -> None:
        # without a checksum, which a kill could part from its file
        layout = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in sums.items()}
        here = ((name, tensor.cpu()) for name, tensor in sums.items())
        metadata = {"request": self._request, "rows": str(rows)}
        write_tensors(file, layout, here, metadata, checksum=False)
