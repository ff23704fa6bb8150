"""Activation statistics: how they are gathered from a running block, and their file.

Per linear, over all tokens of a calibration set: the sum of squares and the sum of every input
feature, and the number of tokens. Per block: Block Influence.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from workflow_scripts.checkpoints import Linear
from workflow_scripts.errors import InputError
from workflow_scripts.tensor_files import TensorFile, open_tensors
from workflow_scripts.tensors import read_tensor, save_tensors

_CHUNK = 64  # tokens converted to float64 at once: they stay in the processor's cache


@dataclass(frozen=True)
class Statistics:
    """Statistics of a model on a calibration set; mappings are keyed by the linear's weight name.

    `sum_squares` and `sums` have shape (input features,), `block_influence` (blocks,), all fp32.
    """

    sum_squares: Mapping[str, Tensor]
    sums: Mapping[str, Tensor]
    tokens: Mapping[str, int]
    block_influence: Tensor


class InputSums:
    """Running sums over the tokens that enter one linear, per input feature, in float64.

    What is narrower than fp32 (a GPU's bf16) is summed batch by batch in fp32 first, which a GPU
    does many times faster.
    """

    def __init__(self, features: int, device: torch.device | str = "cpu") -> None:
        self.sum = torch.zeros(features, dtype=torch.float64, device=device)
        self.sum_squares = torch.zeros(features, dtype=torch.float64, device=device)
        self.tokens = 0

    def add_inputs(self, inputs: Tensor) -> None:
        """Count activations of shape (..., features); every token counts once."""
        flat = inputs.reshape(-1, inputs.shape[-1])
        self.tokens += len(flat)
        if flat.dtype.itemsize < torch.float32.itemsize:
            self.sum += flat.sum(0, dtype=torch.float32)
            norms = torch.linalg.vector_norm(flat, dim=0, dtype=torch.float32)
            self.sum_squares += norms.double().square_()
            return
        for chunk in flat.split(_CHUNK):
            wide = chunk.double()
            self.sum += wide.sum(0)
            self.sum_squares += wide.square_().sum(0)

    def add_sums(self, other: "InputSums") -> None:
        """Count the tokens that `other` has counted."""
        self.sum += other.sum
        self.sum_squares += other.sum_squares
        self.tokens += other.tokens


@contextmanager
def watched(block: nn.Module, modules: Sequence[str]) -> Iterator[dict[str, InputSums]]:
    """Gather the input sums of a block's linears, by module name, while the context lasts.

    Raises ValueError where one of them never ran.
    """
    sums: dict[str, InputSums] = {}
    # q, k and v are handed the very same tensor, and so are gate and up: it is summed once.
    last: tuple[Tensor, InputSums] | None = None

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def count(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            nonlocal last
            inputs = arguments[0]
            if last is None or last[0] is not inputs:
                last = (inputs, InputSums(inputs.shape[-1], inputs.device))
                last[1].add_inputs(inputs)
            empty = InputSums(inputs.shape[-1], inputs.device)
            sums.setdefault(name, empty).add_sums(last[1])

        return count

    handles = [block.get_submodule(name).register_forward_pre_hook(hook(name)) for name in modules]
    try:
        yield sums
    finally:
        for handle in handles:
            handle.remove()
    for name in modules:
        if name not in sums:
            raise ValueError(f"{name} never ran")


def token_influence(before: Tensor, after: Tensor) -> Tensor:
    """1 - cosine of every token's hidden state before and after a block.

    Shape (..., hidden) -> (...), computed in fp32 (ShortGPT, arXiv 2403.03853, eq. 1; its mean over
    tokens is Block Influence). NaN where a hidden state is zero, whose direction is undefined.
    """
    before, after = before.float(), after.float()
    lengths = torch.linalg.vector_norm(before, dim=-1) * torch.linalg.vector_norm(after, dim=-1)
    return 1 - (before * after).sum(-1) / lengths


def finite_fp32(total: Tensor, name: str) -> Tensor:
    """Sums over the inputs of linear `name` as fp32, on the CPU.

    Raises `InputError` where one overflows.
    """
    narrow = total.float().cpu()
    if not narrow.isfinite().all():
        raise InputError(f"the activations that enter {name} are not finite")
    return narrow


def write_statistics(
    path: Path, statistics: Statistics, model_digest: str, calibration_digest: str
) -> None:
    """Write statistics as `NAME.sum_squares`, `NAME.sum`, `NAME.tokens` and `block_influence`."""
    tensors = {"block_influence": statistics.block_influence}
    for name, sum_squares in statistics.sum_squares.items():
        tensors[f"{name}.sum_squares"] = sum_squares
        tensors[f"{name}.sum"] = statistics.sums[name]
        tensors[f"{name}.tokens"] = torch.tensor([statistics.tokens[name]])
    metadata = {"model_digest": model_digest, "calibration_digest": calibration_digest}
    save_tensors(path, tensors, metadata)


def read_statistics(path: Path, linears: Sequence[Linear], model_digest: str) -> Statistics:
    """Read the statistics of a model's linears.

    Raises `InputError` where they are of another model, lack a linear, have a wrong shape, or hold
    NaN or infinite values.
    """
    file = open_tensors(path)
    made_from = file.metadata.get("model_digest")
    if made_from != model_digest:
        raise InputError(
            f"{path}: statistics of another model (digest {made_from}, this model's is "
            f"{model_digest})"
        )
    sum_squares, sums, tokens = {}, {}, {}
    for linear in linears:
        name, features = linear.name, linear.shape[1]
        sum_squares[name] = _read(file, f"{name}.sum_squares", features)
        sums[name] = _read(file, f"{name}.sum", features)
        tokens[name] = int(_read(file, f"{name}.tokens", 1))
        if sum_squares[name].min() < 0 or tokens[name] < 1:
            raise InputError(
                f"{path}: {name}: a sum of squares is negative or no token was counted"
            )
    blocks = 1 + max(linear.block for linear in linears)
    return Statistics(sum_squares, sums, tokens, _read(file, "block_influence", blocks))


def _read(file: TensorFile, name: str, length: int) -> Tensor:
    tensor = read_tensor(file, name)
    if tensor.shape != (length,):
        raise InputError(f"{file.path}: {name} has shape {tuple(tensor.shape)}, not ({length},)")
    if not tensor.isfinite().all():
        raise InputError(f"{file.path}: {name} holds NaN or infinite values")
    return tensor
