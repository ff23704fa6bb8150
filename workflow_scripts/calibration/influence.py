"""Influence of train samples on the validation loss, linear by linear, from per-sample gradients.

For one linear, with v the mean gradient over the validation samples, g_i the gradient of train
sample i (both of the linear's full weight) and n train samples, the influence of sample i is

    I_i = + <v, H^-1 g_i>        positive: a gradient step on sample i lowers the validation loss

where H^-1 is the identity (arXiv 2604.25098; TracIn), or DataInf's closed form (arXiv 2310.00902),
the mean over the train samples of (lambda I + g_j g_j^T)^-1 with lambda a tenth of the mean squared
entry of their gradients. LayerIF (arXiv 2505.23811) writes the formula with a minus in front and
still calls the positive samples the beneficial ones; the sign here is that of its text.

Gradients are never held: whoever computes them shows them one at a time, and all that stays is one
averaged gradient. Multiplied out, DataInf's closed form needs no more, though h = H^-1 v does not
exist before all train samples have been seen:

    a_i = <v, g_i>,  s_i = <g_i, g_i>,  c_j = a_j / (lambda + s_j)
    I_i = 1/(n lambda) sum_j (a_i - c_j <g_j, g_i>) = (a_i - <u, g_i>) / lambda
    u = 1/n sum_j c_j g_j

The first pass over the train samples gives a, s and so lambda and c; the second puts u where v was;
the third multiplies u with each gradient. That is exact, with no matrix of n x n products.

Averages are kept in fp32, products are summed in float64. So the rounding error of an influence is
a few times 6e-8 |v| |g_i|, over lambda with DataInf. Next to the influence itself that is little,
unless almost all of v is undone by u: where the gradients of all train samples are parallel.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from workflow_scripts.models.checkpoints import Linear

CONVENTION = (
    "the influence of a train sample is +<mean validation gradient, H^-1 train gradient>, summed "
    "over the linears of a part; positive: a gradient step on the sample lowers the validation "
    "loss; the score of a part is the sum of the positive influences"
)
DAMPING = 0.1  # lambda over the mean squared entry of the gradients, as DataInf sets it
# entries converted to float64 at once: on a CPU they stay in its cache, on a GPU few kernels wait
CHUNK = {"cpu": 2**16, "cuda": 2**24}

Sample = TypeVar("Sample")
# name of a linear's weight, and its gradient, which is gone when the call returns
Visit = Callable[[str, Tensor], None]
# shows `Visit` the gradient of every linear for one sample, one at a time, each exactly once
Gradients = Callable[[Sample, Visit], None]
Shapes = Mapping[str, tuple[int, ...]]
# the numbers of a step's rows, given its name, what the rows add up to, and how many there are
Rows = Callable[[str, Mapping[str, Tensor], int], Iterable[int]]


def every_row(step: str, sums: Mapping[str, Tensor], count: int) -> Iterable[int]:
    """All rows of a step: nothing is kept of those that are done."""
    return range(count)


def identity_influence(
    train: Sequence[Sample],
    validation: Sequence[Sample],
    gradients: Gradients,
    shapes: Shapes,
    rows: Rows = every_row,
    device: str = "cpu",
) -> dict[str, Tensor]:
    """Influence with the identity for the Hessian, float64 (train samples,), by linear.

    `shapes` names the linears; the averaged gradient is kept on `device`, where gradients are. One
    backward pass for each sample of either set.
    """
    mean = _zeros(shapes, device)
    _average(mean, gradients, validation, rows)
    along, _ = _products("along", mean, gradients, train, rows)
    return along


def datainf_influence(
    train: Sequence[Sample],
    validation: Sequence[Sample],
    gradients: Gradients,
    shapes: Shapes,
    rows: Rows = every_row,
    device: str = "cpu",
) -> dict[str, Tensor]:
    """Influence with DataInf's closed form, float64 (train samples,), by linear.

    Every linear is a layer of its own, with its own lambda. Three backward passes for each train
    sample and one for each validation sample. Where all train gradients of a linear are zero, so
    are its influences.
    """
    buffer = _zeros(shapes, device)
    _average(buffer, gradients, validation, rows)
    along, squares = _products("along", buffer, gradients, train, rows, squares=True)
    damping = {
        name: DAMPING * float(squares[name].mean()) / buffer[name].numel() for name in shapes
    }
    for name in shapes:
        damping[name] = damping[name] or 1.0  # all products are zero, whatever divides them
    if len(train) == 1:  # a - u g = a lambda / (lambda + s), which is nothing but rounding in fp32
        return {name: along[name] / (damping[name] + squares[name]) for name in shapes}
    shares = {name: along[name] / (damping[name] + squares[name]) / len(train) for name in shapes}
    for tensor in buffer.values():
        tensor.zero_()
    _add("share", buffer, gradients, train, shares, rows)
    back, _ = _products("back", buffer, gradients, train, rows)
    return {name: (along[name] - back[name]) / damping[name] for name in shapes}


HESSIANS = {"identity": identity_influence, "datainf": datainf_influence}


def part_scores(
    influence: Mapping[str, Tensor], linears: Iterable[Linear]
) -> list[dict[str, float]]:
    """The score of each block's attention and mlp.

    Influences are summed over the linears of a part, then the positive ones over the samples
    (arXiv 2505.23811: S = sum_i 1[I_i > 0] I_i).
    """
    totals: dict[tuple[int, str], Tensor] = {}
    for linear in linears:
        place = (linear.block, linear.part)
        totals[place] = totals.get(place, 0) + influence[linear.name]
    blocks: list[dict[str, float]] = [{} for _ in range(1 + max(block for block, _ in totals))]
    for (block, part), total in totals.items():
        blocks[block][part] = float(total.clamp(min=0).sum())
    return blocks


def dot(one: Tensor, other: Tensor) -> float:
    """The inner product of two tensors of one shape, summed in float64."""
    chunk = CHUNK[one.device.type]
    pairs = zip(one.reshape(-1).split(chunk), other.reshape(-1).split(chunk), strict=True)
    return sum(float(torch.dot(a.double(), b.double())) for a, b in pairs)


def _zeros(shapes: Shapes, device: str) -> dict[str, Tensor]:
    return {name: torch.zeros(shape, device=device) for name, shape in shapes.items()}


def _average(
    buffer: dict[str, Tensor], gradients: Gradients, samples: Sequence[Sample], rows: Rows
) -> None:
    """Add the mean gradient of the samples to the buffer."""
    equal = torch.full((len(samples),), 1 / len(samples), dtype=torch.float64)
    _add("mean", buffer, gradients, samples, dict.fromkeys(buffer, equal), rows)


def _add(
    step: str,
    buffer: dict[str, Tensor],
    gradients: Gradients,
    samples: Sequence[Sample],
    shares: Mapping[str, Tensor],
    rows: Rows,
) -> None:
    """Add to the buffer, for every linear, the sum over the samples of share x gradient."""
    for number in rows(step, buffer, len(samples)):

        def add(name: str, gradient: Tensor, number: int = number) -> None:
            buffer[name].add_(gradient, alpha=float(shares[name][number]))

        gradients(samples[number], add)


def _products(
    step: str,
    buffer: Mapping[str, Tensor],
    gradients: Gradients,
    samples: Sequence[Sample],
    rows: Rows,
    squares: bool = False,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """<buffer, g> and, on request, <g, g> of every sample's gradient, float64 (samples,)."""
    along = {name: torch.zeros(len(samples), dtype=torch.float64) for name in buffer}
    lengths = {name: torch.zeros(len(samples), dtype=torch.float64) for name in buffer}
    sums = along | {f"{name} squared": them for name, them in lengths.items()}
    for number in rows(step, sums, len(samples)):

        def multiply(name: str, gradient: Tensor, number: int = number) -> None:
            along[name][number] = dot(buffer[name], gradient)
            if squares:
                lengths[name][number] = dot(gradient, gradient)

        gradients(samples[number], multiply)
    return along, lengths
