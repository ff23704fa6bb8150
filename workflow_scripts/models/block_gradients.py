"""Gradients of the loss on whole samples, block by block, from the last one to the first.

The loss is the mean cross-entropy of every token that follows another (arXiv 2305.11627,
2402.02834: labels are the inputs). A first pass keeps what enters every block; then a block's
forward pass runs again, with gradients, as its turn comes. As many of the last blocks as fit into
STAYING bytes keep their weights and what their matrix products and attention put out instead, from
which the rest is computed again at little cost: a quarter less arithmetic, and the same bits.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts
from torch.utils.checkpoint import checkpoint as run_again

from workflow_scripts.errors import InputError
from workflow_scripts.models import blocks, checkpoints
from workflow_scripts.models.blocks import Call
from workflow_scripts.models.checkpoints import Checkpoint, Linear
from workflow_scripts.models.experts import experts_place, stored_name
from workflow_scripts.models.head import Head, open_head
from workflow_scripts.models.linear_names import chosen_experts, expert_number

# by device: bytes of blocks that stay for the way back, with what they have computed
STAYING = {"cpu": 2**30, "cuda": 2**33}
ROWS = 128  # whose logits are in memory at a time, three times over
_aten = torch.ops.aten
_DEAR = (  # what is not computed a second time in blocks that stay
    _aten.mm.default,
    _aten.addmm.default,
    _aten._scaled_dot_product_flash_attention_for_cpu.default,
    _aten._scaled_dot_product_flash_attention.default,
    _aten._scaled_dot_product_efficient_attention.default,
    _aten._scaled_dot_product_cudnn_attention.default,
)

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
    checkpoint: Checkpoint,
    input_ids: Tensor,
    device: str = "cpu",
    squares: bool = False,
    wanted: range | None = None,
) -> Iterator[BlockGradients]:
    """The gradients on token ids of shape (samples, length), a block at a time, the last first.

    They are those of the `wanted` blocks (all without it), computed in fp32 on the CPU, in bf16 on
    a GPU. Raises `InputError` where the loss, or a gradient of such a block, is not finite.
    """
    wanted = wanted or range(checkpoint.blocks)
    decoder = blocks.open_decoder(checkpoint, device)
    samples = 1 if squares else blocks.samples_per_batch(input_ids.shape[1], device)
    spans = blocks.sample_spans(len(input_ids), samples)
    hidden, calls = blocks.embed_all(decoder, input_ids, spans)
    staying = _staying(checkpoint, wanted, input_ids.numel(), hidden.itemsize, STAYING[device])
    entered: dict[int, Tensor] = {}
    ran: dict[int, tuple[nn.Module, list[Ran]]] = {}

    def load(index: int) -> nn.Module:
        return blocks.load_block(decoder, index).requires_grad_(index in wanted)

    def call(index: int, before: Tensor) -> Call:
        return calls[len(before)][index]

    def run(index: int, block: nn.Module, before: Tensor, stays: bool) -> Ran:
        leaf = before.detach().requires_grad_()
        with torch.enable_grad():
            if stays:
                return leaf, _run_lean(block, leaf, call(index, leaf))
            return leaf, blocks.run_block(block, leaf, call(index, leaf))

    for index in range(checkpoint.blocks):
        block, after = load(index), torch.empty_like(hidden)
        if index in staying:
            ran[index] = (block, [run(index, block, hidden[span], True) for span in spans])
            for span, (_, found) in zip(spans, ran[index][1], strict=True):
                after[span] = found.detach()
        else:
            if index >= wanted.start:
                entered[index] = hidden
            with torch.no_grad():
                for span in spans:
                    before = hidden[span]
                    after[span] = blocks.run_block(block, before, call(index, before))
        hidden = after
        del block, after  # before the next one is loaded
    gradient = _loss_gradient(open_head(decoder), hidden, input_ids)
    del hidden
    for index in reversed(range(wanted.start, checkpoint.blocks)):
        passes: Iterable[Ran]
        if index in staying:
            block, passes = ran.pop(index)
        else:
            block, before = load(index), entered.pop(index)
            passes = (run(index, block, before[span], False) for span in spans)
        steps = zip(spans, passes, strict=True)
        if index in wanted:
            yield _through(checkpoint, index, block, steps, gradient, squares)
        else:
            for span, (leaf, found) in steps:
                (gradient[span],) = torch.autograd.grad(found, leaf, gradient[span])
        del block, passes, steps


def _staying(checkpoint: Checkpoint, wanted: range, tokens: int, itemsize: int, most: int) -> range:
    """The last blocks, as many of those that gradients go through as take `most` bytes together."""
    first, taken, linears = checkpoint.blocks, 0, checkpoints.linears(checkpoint)
    while first > wanted.start:
        inside = [linear for linear in linears if linear.block == first - 1]
        taken += itemsize * _numbers(checkpoint, inside, tokens)
        if taken > most:
            break
        first -= 1
    return range(first, checkpoint.blocks)


def _numbers(checkpoint: Checkpoint, linears: Sequence[Linear], tokens: int) -> int:
    """How many numbers a block with these linears holds that stays: weights, and what is kept.

    Of all tokens that is what enters the block, what its attention and its linears put out, and
    what it hands on. Scores of attention are not among it.
    """
    experts = len({expert_number(linear.name) for linear in linears if linear.of_expert})
    reached = chosen_experts(checkpoint.config, experts) / experts if experts else 1
    put_out = sum(x.shape[0] * (reached if x.of_expert else 1) for x in linears)
    (attention,) = (x.shape[1] for x in linears if x.role == "o")
    hidden = checkpoint.shapes[checkpoints.EMBEDDING][1]
    return sum(x.weights for x in linears) + round(tokens * (put_out + attention + 2 * hidden))


def _run_lean(block: nn.Module, hidden: Tensor, call: Call) -> Tensor:
    """Run a block of which no more is kept for the way back than what would be dear to repeat."""
    return run_again(
        blocks.run_block,
        block,
        hidden,
        call,
        use_reentrant=False,
        preserve_rng_state=False,
        context_fn=functools.partial(create_selective_checkpoint_contexts, _policy),
    )


def _policy(context: object, operation: object, *given: object, **more: object) -> CheckpointPolicy:
    dear = operation in _DEAR
    return CheckpointPolicy.MUST_SAVE if dear else CheckpointPolicy.PREFER_RECOMPUTE


def _loss_gradient(head: Head, hidden: Tensor, input_ids: Tensor) -> Tensor:
    """The gradient of the mean loss with respect to what the last block hands on, of its shape."""
    targets = input_ids[:, 1:].long().to(hidden.device)
    gradient = torch.zeros_like(hidden)
    rows, each = hidden[:, :-1].reshape(-1, hidden.shape[-1]), targets.shape[1]
    found = []
    for some, wanted in zip(rows.split(ROWS), targets.reshape(-1).split(ROWS), strict=True):
        leaf = some.detach().requires_grad_()
        with torch.enable_grad():
            losses = nn.functional.cross_entropy(head.logits(leaf), wanted, reduction="none")
        if not losses.isfinite().all():
            row = len(found) * ROWS + int(losses.isfinite().logical_not().nonzero()[0])
            loss = losses[row % ROWS].item()
            raise InputError(f"sample {row // each}: the model's loss on it is {loss}")
        found += torch.autograd.grad(losses.sum() / len(rows), leaf)
    gradient[:, :-1] = torch.cat(found).reshape(len(hidden), each, -1)
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
    sums: dict[str, Tensor] = {}
    squared: dict[str, Tensor] | None = {} if squares else None
    for span, (before, after) in passes:
        found = torch.autograd.grad(
            after, [before, *weights.values()], gradient[span], materialize_grads=True
        )
        gradient[span] = found[0]
        for name, own in zip(weights, found[1:], strict=True):
            own = own.float()
            if squared is not None:  # a span is a sample, whose own mean loss counts as many times
                total = squared.setdefault(name, torch.zeros_like(own))
                total.addcmul_(own, own, value=len(gradient))
            sums[name] = sums[name].add_(own) if name in sums else own
    for name, total in sums.items():  # where one was not finite, the sum is not
        if not all(extreme.isfinite() for extreme in total.aminmax()):
            raise InputError(f"the gradient of {name} is NaN or infinite")
    plain = {name: weight.detach() for name, weight in weights.items()}
    return BlockGradients(index, plain, sums, squared)
