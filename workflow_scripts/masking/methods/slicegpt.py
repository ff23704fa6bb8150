"""SliceGPT (arXiv 2401.15024): hidden states lose the directions that vary least.

One walk over the model, always on what the sliced blocks before hand down. Behind the embedding,
every attention and every MLP but the last, the principal directions of the hidden states become
their basis, of which the first `width` stay. What enters a place is sliced, what is computed behind
it is not yet, so that hidden states are collected in the dense basis: attention runs with o_proj
uncut and the adapter back to the dense width, then so does the MLP, one pass in all. The public
code runs a block a second time for its MLP's basis; but for rounding that is the same.

Of the public code's three quirks, eps is the config's here, adapters are products in float64, and
the last block's output, of which nothing is cut, is left in the dense basis. It also adds 1 % of
the mean to the diagonal before it takes eigenvectors, which none of them depends on, and may turn
the basis that is left at random, which changes no model.

One block's weights, the hidden states of the calibration set and a few matrices of the hidden
width squared in float64 are in memory; before the blocks, the embedding twice.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from workflow_scripts.artefacts.masks import Plan
from workflow_scripts.errors import InputError
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.models import blocks, checkpoints
from workflow_scripts.models.checkpoints import EMBEDDING, HEAD, Checkpoint
from workflow_scripts.models.plain_blocks import check_plain
from workflow_scripts.models.sliced import (
    READERS,
    ScaleFreeNorm,
    after_attention,
    after_mlp,
    set_tensor,
    slice_block,
    sliced_shapes,
    sliced_width,
)
from workflow_scripts.models.tensors import DTYPES

ROWS = 8192  # of the embedding that are in float64 at once


def plan(inputs: Inputs) -> Plan:
    """Cut the hidden states of the whole model to one width.

    Raises `InputError` for another architecture than those that can be sliced, where nothing would
    be left, and where the calibration set has fewer tokens than hidden states have directions.
    """
    options, checkpoint = inputs.options, inputs.checkpoint
    check_plain(checkpoint, "slicegpt cannot slice the hidden states of")
    hidden = checkpoint.shapes[EMBEDDING][1]
    width = sliced_width(hidden, options.slicing, options.round_to)
    if width < 1:
        raise InputError(
            f"slicing: {options.slicing} of a width of {hidden} leaves nothing in steps of "
            f"{options.round_to}; lower it, or round_to"
        )
    if inputs.calibration.numel() < hidden:
        raise InputError(
            f"calibration: {inputs.calibration.numel()} tokens do not tell the {hidden} directions "
            f"of a hidden state apart; take {hidden} or more, by samples or length"
        )
    layout = {
        name: (_dtype(checkpoint, name), shape)
        for name, shape in sliced_shapes(checkpoint, width).items()
    }
    tensors = sliced_tensors(
        checkpoint,
        inputs.calibration,
        width,
        normalised=options.signal == "normalised",
        subtract_mean=options.subtract_mean,
        device=inputs.device,
    )
    return Plan(
        changes=layout,
        tensors=((name, tensor.to(layout[name][0])) for name, tensor in tensors),
        sliced_width=width,
    )


def _dtype(checkpoint: Checkpoint, name: str) -> torch.dtype:
    """That of the dense tensor; of an adapter and an untied head, that of the embedding."""
    return DTYPES[checkpoint.dtypes.get(name, checkpoint.dtypes[EMBEDDING])]


def principal_basis(moments: Tensor) -> Tensor:
    """The eigenvectors of a symmetric matrix (hidden, hidden), as columns, by falling eigenvalue.

    An eigenvector's sign is free: its component of largest absolute value, of equal ones the first,
    is positive here.
    """
    vectors = torch.linalg.eigh(moments)[1].flip(1)
    largest = vectors.abs().argmax(0, keepdim=True)
    return vectors * vectors.gather(0, largest).sign()


@dataclass(frozen=True)
class Signal:
    """The hidden states of the calibration set, (samples, length, hidden), in the dense basis.

    Bases are taken from what `norm` makes of them, where one is given.
    """

    hidden: Tensor
    spans: Sequence[slice]
    norm: ScaleFreeNorm | None

    def advance(self, step: Callable[[Tensor], Tensor], place: str) -> Tensor:
        """Put all hidden states through `step`, which leads to `place`; their basis there.

        That is the principal basis of Σ xᵀx over tokens in float64, x not centred, as RMSNorm
        centres nothing. Raises `InputError` where hidden states are not finite.
        """
        width = self.hidden.shape[-1]
        moments = self.hidden.new_zeros(width, width, dtype=torch.float64)
        for span in self.spans:
            self.hidden[span] = step(self.hidden[span])
            x = self.hidden[span].flatten(0, -2).double()
            x = self.norm(x) if self.norm else x
            moments.addmm_(x.T, x)
        if not moments.isfinite().all():
            raise InputError(f"the hidden states behind {place} are not finite")
        return principal_basis(moments)


@torch.no_grad()
def sliced_tensors(
    checkpoint: Checkpoint,
    input_ids: Tensor,
    width: int,
    *,
    normalised: bool = False,
    subtract_mean: bool = False,
    device: str = "cpu",
) -> Iterator[tuple[str, Tensor]]:
    """The tensors that `sliced_shapes` lists, on the CPU, those of the blocks in float64.

    `input_ids` has shape (samples, length). `normalised` takes bases from what RMSNorm makes of
    hidden states instead of from these. `subtract_mean` first takes from every embedding the mean
    of its features, which LayerNorm would not notice and RMSNorm does.
    """
    decoder = blocks.open_decoder(checkpoint, device)
    config = decoder.model.config
    norm = ScaleFreeNorm(config.hidden_size, config.rms_norm_eps) if normalised else None
    batch = blocks.samples_per_batch(input_ids.shape[1], device)
    spans = blocks.sample_spans(len(input_ids), batch)
    hidden, calls = blocks.embed_all(decoder, input_ids, spans)
    signal = Signal(hidden, spans, norm)

    def dense(name: str) -> Tensor:
        return checkpoints.load_tensor(checkpoint, name, device).double()

    def readers(
        block: nn.Module, prefix: str, part: str, basis: Tensor
    ) -> Iterator[tuple[str, Tensor]]:
        """The weights of a part that reads in `basis`; the block gets them as well."""
        scales, roles = READERS[part]
        scale = dense(f"{prefix}{scales}.weight")
        for role in roles:
            name = f"{part}.{role}_proj.weight"
            sliced = dense(prefix + name).mul_(scale) @ basis
            set_tensor(block, name, sliced.to(decoder.dtype))
            yield prefix + name, sliced.cpu()

    def writer(linear: str, basis: Tensor) -> Iterator[tuple[str, Tensor]]:
        """The weight, and where there is one the bias, of a linear that writes in `basis`."""
        for name in (f"{linear}.weight", f"{linear}.bias"):
            if name in checkpoint.files:
                yield name, (basis.T @ dense(name)).cpu()

    # both from the dense basis to the dense basis: until the next one is known, an adapter leads
    # back, and its weight is the basis itself
    def attention(block: nn.Module, index: int, hidden: Tensor) -> Tensor:
        options = calls[len(hidden)][index].options
        return after_attention(block, hidden @ block.attention_adapter.weight, **options)

    def mlp(block: nn.Module, hidden: Tensor) -> Tensor:
        return after_mlp(block, hidden @ block.mlp_adapter.weight)

    start = _without_mean if subtract_mean else _as_it_is
    basis = signal.advance(start, "the embedding")[:, :width]
    yield from _embedding(checkpoint, start, basis)
    for index in range(checkpoint.blocks):
        prefix = checkpoints.block_prefix(index)
        block = blocks.load_block(decoder, index)
        slice_block(block, config)
        yield from readers(block, prefix, "self_attn", basis)
        set_tensor(block, "attention_adapter.weight", basis.to(decoder.dtype))
        behind = f"attention of block {index}"
        new = signal.advance(partial(attention, block, index), behind)[:, :width]
        yield from writer(f"{prefix}self_attn.o_proj", new)
        yield f"{prefix}attention_adapter.weight", (new.T @ basis).cpu()
        basis = new
        yield from readers(block, prefix, "mlp", basis)
        if index == checkpoint.blocks - 1:
            yield f"{prefix}mlp_adapter.weight", basis.cpu()
            return
        set_tensor(block, "mlp_adapter.weight", basis.to(decoder.dtype))
        new = signal.advance(partial(mlp, block), f"the MLP of block {index}")[:, :width]
        yield from writer(f"{prefix}mlp.down_proj", new)
        yield f"{prefix}mlp_adapter.weight", (new.T @ basis).cpu()
        basis = new
        del block  # before the next one comes


def _as_it_is(hidden: Tensor) -> Tensor:
    return hidden


def _without_mean(hidden: Tensor) -> Tensor:
    return hidden - hidden.mean(-1, keepdim=True)


def _embedding(
    checkpoint: Checkpoint, start: Callable[[Tensor], Tensor], basis: Tensor
) -> Iterator[tuple[str, Tensor]]:
    """The sliced embedding, and the head where that was the embedding; in the stored dtype."""
    dense = checkpoints.load_tensor(checkpoint, EMBEDDING)
    if HEAD not in checkpoint.files:
        yield HEAD, dense
    sliced = dense.new_empty(len(dense), basis.shape[1])
    for first in range(0, len(dense), ROWS):
        rows = dense[first : first + ROWS].to(basis.device).double()
        sliced[first : first + ROWS] = start(rows) @ basis
    yield EMBEDDING, sliced
