"""`weights.safetensors`: what a variant changes beside removing. Always there, mostly empty.

    NAME                      a tensor of the dense model, changed; or a bias that it lacks
    NAME.lora_A, NAME.lora_B  a low-rank delta of the tensor NAME: (rank, input), (output, rank)
    other names               routers, adapters

The pruned model has W + scale · B·A, computed in fp32 and rounded to the dtype in which the
checkpoint holds W, with the mask applied again. The metadata holds the scales as `NAME.scale`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from workflow_scripts.artefacts.mask_records import LORA_A, LORA_B, ChangedTensor, MaskRecord
from workflow_scripts.errors import InputError
from workflow_scripts.models.tensor_files import TensorFile, open_tensors
from workflow_scripts.models.tensors import (
    DTYPE_NAMES,
    StoredTensors,
    tensor_digest,
    tensor_writer,
)

SCALE, BIAS = ".scale", ".bias"


class _CheckedTensors(StoredTensors):
    """Tensors held against the digests of a record as they are read."""

    def __init__(self, file: TensorFile, record: MaskRecord) -> None:
        super().__init__(file)
        self._record = record

    def __getitem__(self, name: str) -> Tensor:
        tensor = super().__getitem__(name)
        if tensor_digest(tensor) != self._record.weights[name].sha256:
            raise InputError(
                f"{self.file.path}: damaged: {name} has not the digest that the variant's record "
                "gives; delete both and start again"
            )
        return tensor


@contextmanager
def weights_writer(
    path: Path,
    layout: Mapping[str, tuple[torch.dtype, Sequence[int]]],
    scales: Mapping[str, float],
    written: dict[str, ChangedTensor],
) -> Iterator[Callable[[str, Tensor], None]]:
    """Write `weights.safetensors` tensor by tensor; what a record says of each goes to `written`.

    `layout` gives dtype and shape of every tensor, `scales` those of the deltas by parameter name.
    """
    metadata = {f"{name}{SCALE}": repr(scale) for name, scale in scales.items()}
    with tensor_writer(path, layout, metadata) as put:

        def put_and_note(name: str, tensor: Tensor) -> None:
            put(name, tensor)
            shape, dtype = tuple(tensor.shape), DTYPE_NAMES[tensor.dtype]
            written[name] = ChangedTensor(shape=shape, dtype=dtype, sha256=tensor_digest(tensor))

        yield put_and_note


def read_weights(path: Path, record: MaskRecord) -> Mapping[str, Tensor]:
    """The tensors of a variant by name, each read and held against the record when asked for.

    Raises `InputError` where the file is missing, damaged or not the one of the record.
    """
    file = open_tensors(path, checksum=False)  # the record's digests cover it
    found = {name: (entry.dtype, entry.shape) for name, entry in file.entries.items()}
    wanted = {name: (tensor.dtype, tensor.shape) for name, tensor in record.weights.items()}
    scales = {f"{name}{SCALE}": repr(scale) for name, scale in record.scales.items()}
    if found != wanted or dict(file.metadata) != scales:
        raise InputError(f"{path}: does not hold the weights that the variant's record lists")
    return _CheckedTensors(file, record)


def changed_names(names: Collection[str]) -> set[str]:
    """The names of the tensors of a model that differ, from those in `weights.safetensors`."""
    return {name.removesuffix(LORA_A).removesuffix(LORA_B) for name in names}


def with_delta(tensor: Tensor, name: str, weights: Mapping[str, Tensor], scale: float) -> Tensor:
    """A dense tensor plus its low-rank delta, in the tensor's own dtype."""
    delta = weights[name + LORA_B].float() @ weights[name + LORA_A].float()
    return (tensor.float() + scale * delta).to(tensor.dtype)
