"""Activations of a running block: sums over the inputs of its linears, Block Influence."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from workflow_scripts.errors import InputError
from workflow_scripts.models.linear_names import is_of_expert

Sums = TypeVar("Sums")  # has `add_inputs` and `tokens`
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


class AllSeen(Exception):
    """Every watched linear has its inputs; nobody asks for what the block would compute next."""


@contextmanager
def watched(
    block: nn.Module,
    modules: Sequence[str],
    stop: bool = False,
    sums: Callable[[int, torch.device], Sums] = InputSums,
) -> Iterator[dict[str, Sums]]:
    """Gather sums over what enters a block's linears, by module name, while the context lasts.

    `sums` makes empty ones for a number of features. Linears that are handed the very same tensor
    (q, k and v; gate and up) share theirs. Those of an expert are over the tokens routed to it,
    which may be none. Raises ValueError where another linear never ran. With `stop`, a forward pass
    of the block raises `AllSeen` as soon as each of them has its inputs (one with an expert that no
    token reaches runs to its end).
    """
    linears = {name: block.get_submodule(name) for name in modules}
    seen: dict[str, Sums] = {}
    last: tuple[Tensor, Sums] | None = None
    missing: set[str] = set()

    def begin(block: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        nonlocal last
        last = None
        missing.update(modules)

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def count(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            nonlocal last
            inputs = arguments[0]
            if last is None or last[0] is not inputs:
                if name not in seen:
                    seen[name] = sums(inputs.shape[-1], inputs.device)
                last = (inputs, seen[name])
                last[1].add_inputs(inputs)
            seen.setdefault(name, last[1])
            missing.discard(name)
            if stop and not missing:
                raise AllSeen

        return count

    handles = [linear.register_forward_pre_hook(hook(name)) for name, linear in linears.items()]
    handles.append(block.register_forward_pre_hook(begin))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
    for name, linear in linears.items():
        if name not in seen:
            if not is_of_expert(name):
                raise ValueError(f"{name} never ran")
            seen[name] = sums(linear.in_features, linear.weight.device)


def note_unreached(tokens: Mapping[str, int]) -> None:
    """Say on stderr which experts saw no token, if any; `tokens` are by the linear's weight."""
    if unreached := [name for name, count in tokens.items() if not count]:
        experts = {name.rpartition(".weight")[0].rpartition(".")[0]: name for name in unreached}
        some = ", ".join([*experts][:3]) + (", ..." if len(experts) > 3 else "")
        print(
            f"no token of the calibration set was routed to {len(experts)} experts ({some}): their "
            "weights are compared by magnitude; more samples would reach them",
            file=sys.stderr,
        )


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
