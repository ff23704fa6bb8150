"""Gradients of the loss on whole samples, block by block, from the last one to the first.

The loss is the mean cross-entropy of every token that follows another (arXiv 2305.11627,
2402.02834: labels are the inputs). A first pass keeps what enters every block; then a block's
forward pass runs again, with gradients, as its turn comes. With few tokens, as these methods take
by default, the first pass keeps all that the backward pass needs instead: a quarter less
arithmetic, and the weights stay in memory.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from workflow_scripts.errors import InputError
from workflow_scripts.models import blocks, checkpoints
from workflow_scripts.models.blocks import BATCH_TOKENS
from workflow_scripts.models.checkpoints import Checkpoint
from workflow_scripts.models.experts import experts_place, stored_name
from workflow_scripts.models.head import ROWS, Head, open_head

Ran = tuple[Tensor, Tensor]  # what entered a block, and what it handed on


@dataclass(frozen=True)
class BlockGradients:
    """All parameters of one block by their names in the checkpoint, and the loss's gradients, fp32.

    `gradients` are of the mean loss over all samples, `squares` the mean over samples of the
    squared gradients of each one's own mean loss (None unless asked for).
    """

    block: int
    weights: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]
    squares: Mapping[str, Tensor] | None


def block_gradients(
    checkpoint: Checkpoint, input_ids: Tensor, device: str = "cpu", squares: bool = False
) -> Iterator[BlockGradients]:
    """The gradients on token ids of shape (samples, length), a block at a time, the last first.

    Gradients are computed in fp32 on the CPU, in bf16 on a GPU. Raises `InputError` where the
    loss, or a gradient of a block, is not finite.
    """
    decoder = blocks.open_decoder(checkpoint, device)
    samples = 1 if squares else blocks.samples_per_batch(input_ids.shape[1], device)
    spans = blocks.sample_spans(len(input_ids), samples)
    hidden, calls = blocks.embed_all(decoder, input_ids, spans)
    keep = input_ids.numel() <= BATCH_TOKENS[device]
    entered: list[Tensor] = []
    ran: list[tuple[nn.Module, list[Ran]]] = []

    def run(index: int, block: nn.Module, before: Tensor) -> Ran:
        leaf = before.detach().requires_grad_()
        with torch.enable_grad():
            return leaf, blocks.run_block(block, leaf, calls[len(leaf)][index])

    def load(index: int) -> nn.Module:
        return blocks.load_block(decoder, index).requires_grad_()

    for index in range(checkpoint.blocks):
        if keep:
            block = load(index)
            passes = [run(index, block, hidden[span]) for span in spans]
            hidden = torch.cat([after.detach() for _, after in passes])
            ran.append((block, passes))
        else:
            entered.append(hidden.clone())
            block = blocks.load_block(decoder, index)
            with torch.no_grad():
                for span in spans:
                    before = hidden[span]
                    hidden[span] = blocks.run_block(block, before, calls[len(before)][index])
        del block  # before the next one is loaded
    gradient = _loss_gradient(open_head(decoder), hidden, input_ids)
    for index in reversed(range(checkpoint.blocks)):
        if keep:
            block, passes = ran.pop()
        else:
            block, before = load(index), entered.pop()
            passes = (run(index, block, before[span]) for span in spans)
        yield _through(checkpoint, index, block, zip(spans, passes, strict=True), gradient, squares)
        del block, passes


def _loss_gradient(head: Head, hidden: Tensor, input_ids: Tensor) -> Tensor:
    """The gradient of the mean loss with respect to what the last block hands on, of its shape."""
    targets = input_ids[:, 1:].long().to(hidden.device)
    gradient = torch.zeros_like(hidden)
    for sample, wanted in enumerate(targets):
        for start in range(0, len(wanted), ROWS):
            rows = slice(start, min(start + ROWS, len(wanted)))
            leaf = hidden[sample, rows].detach().requires_grad_()
            with torch.enable_grad():
                loss = nn.functional.cross_entropy(head.logits(leaf), wanted[rows], reduction="sum")
            if not loss.isfinite():
                raise InputError(f"sample {sample}: the model's loss on it is {loss.item()}")
            (found,) = torch.autograd.grad(loss / targets.numel(), leaf)
            gradient[sample, rows] = found
    return gradient


@torch.no_grad()
def _through(
    checkpoint: Checkpoint,
    index: int,
    block: nn.Module,
    passes: Iterable[tuple[slice, Ran]],
    gradient: Tensor,
    squares: bool,
) -> BlockGradients:
    """Go back through a block: its gradients, and `gradient` becomes that of what entered it."""
    prefix, place = checkpoints.block_prefix(index), experts_place(checkpoint)
    weights = {prefix + stored_name(n, place): p for n, p in block.named_parameters()}
    sums = {name: torch.zeros_like(weight, dtype=torch.float32) for name, weight in weights.items()}
    squared = {name: torch.zeros_like(total) for name, total in sums.items()} if squares else None
    for span, (before, after) in passes:
        found = torch.autograd.grad(
            after, [before, *weights.values()], gradient[span], materialize_grads=True
        )
        gradient[span] = found[0]
        for name, own in zip(weights, found[1:], strict=True):
            if not all(extreme.isfinite() for extreme in own.aminmax()):
                raise InputError(f"the gradient of {name} is NaN or infinite")
            sums[name] += own
            if squared:  # a span is a sample, whose own mean loss counts as many times as much
                squared[name].addcmul_(own.float(), own.float(), value=len(gradient))
    plain = {name: weight.detach() for name, weight in weights.items()}
    return BlockGradients(index, plain, sums, squared)
