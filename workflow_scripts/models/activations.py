"""Activations of a running block: sums over the inputs of its linears, Block Influence."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from workflow_scripts.errors import InputError

_CHUNK = 64  # tokens converted to float64 at once: they stay in the processor's cache


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
