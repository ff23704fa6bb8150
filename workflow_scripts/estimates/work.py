"""What a token costs: FLOPs, and bytes that are moved, by names and shapes. No torch here.

A multiply-add is two FLOPs. Counted are all products with matrices (linears, routers, what a sliced
model has between blocks, the head) and those of queries with keys and of weights with values, which
grow with the tokens before; norms, activations, softmax and positions are not. That is what
`torch.utils.flop_counter` counts while a model decodes token by token with its cache.

Dense kernels multiply with weights that are zero as with others. What is counted here is what they
compute, with the shapes that a variant is exported with: without removed blocks, heads and neurons.
`kept`, and it alone, is what a kernel would be left with that skips every zero; none here does.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workflow_scripts.artefacts.mask_records import LORA_A, LORA_B, DynamicRecord, MaskRecord
from workflow_scripts.artefacts.removal_ratios import parameter_shapes
from workflow_scripts.models.checkpoints import (
    EMBEDDING,
    HEAD,
    Checkpoint,
    Linear,
    linears,
    split_block,
)
from workflow_scripts.models.linear_names import chosen_experts, expert_number, is_of_expert
from workflow_scripts.models.unit_names import KV_GROUP, NEURON, QUERY_HEAD
from workflow_scripts.models.windows import windows

FLOPS = 2  # of a multiply-add
# of a query for each token attended to: with the key and with the value; there both twice, since
# attention is a difference of two
PRODUCTS = {"diffllama": 4}
# what of a block belongs to its attention and to its routers; all else does to its MLP
OF_ATTENTION = ("self_attn.", "attention_adapter.", "input_layernorm.")
OF_ROUTER = "router."
# scales that a sliced model has folded into its linears
FOLDED = ("input_layernorm.weight", "post_attention_layernorm.weight")

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Run:
    """What of a model tokens run that may skip sublayers: means over the tokens of a span, numbers
    or arrays with one for each span.

    Of all attentions and of all MLPs the shares that run; of the attentions' weights the share that
    is used, which is more where keys and values are computed all the same; and of the tokens before
    the share that is attended to, less where those that skip leave no keys and values.
    """

    attention: ArrayLike = 1.0
    mlp: ArrayLike = 1.0
    attention_weights: ArrayLike = 1.0
    attended: ArrayLike = 1.0


ALL = Run()


def run_of(dynamic: DynamicRecord, attention: ArrayLike, mlp: ArrayLike) -> Run:
    """What the tokens of a dynamic variant run that run these shares of attentions and MLPs."""
    attention, mlp = np.asarray(attention, dtype=float), np.asarray(mlp, dtype=float)
    of_attention = 1 - dynamic.spared["mlp"]  # of a block's weights
    used = 1 - (1 - attention) * dynamic.spared["attention"] / of_attention
    evicts = dynamic.routing.keys == "evicted"
    return Run(attention, mlp, used, attention if evicts else 1.0)


@dataclass(frozen=True)
class Part:
    """The attention or the MLP of a block: multiply-adds of a token with its matrices, those that
    are not with zeros, and weights that a token passes, biases and scales included. `chosen` are
    those of these weights that belong to the experts a token is sent to.
    """

    products: float = 0.0
    kept: float = 0.0
    weights: float = 0.0
    chosen: float = 0.0


@dataclass(frozen=True)
class Block:
    """One block. `pairs` are multiply-adds for each token that a token attends to, itself included,
    and `kept_pairs` the same, but 0 where nothing reads what comes of them; `window` is the most of
    these tokens (None: all), `cached` how many numbers a token leaves in the key-value cache.
    `router` is what decides of a token which of the two it runs.
    """

    attention: Part
    mlp: Part
    pairs: int
    kept_pairs: int
    cached: int
    window: int | None = None
    router: Part = Part()


@dataclass(frozen=True)
class Work:
    """A model as far as a token costs something. `head` are multiply-adds for a token's logits,
    `parameters` all that it holds, of experts those as well that a token is not sent to: it is sent
    to a `share` of them.
    """

    blocks: tuple[Block, ...]
    head: int
    parameters: int
    share: float = 1.0

    def span_flops(
        self, before: ArrayLike, tokens: ArrayLike, kept: bool = False, run: Run = ALL
    ) -> NDArray:
        """FLOPs in the blocks of `tokens` tokens behind `before` others; arrays that broadcast.

        With `kept` those that are left without the zeros.
        """
        fixed = sum(self._of_parts(run, "kept" if kept else "products"))
        pairs = self._attended(before, tokens, "kept_pairs" if kept else "pairs")
        return FLOPS * (fixed * np.asarray(tokens) + run.attention * run.attended * pairs)

    def head_flops(self, tokens: ArrayLike) -> NDArray:
        """FLOPs for the logits of so many tokens."""
        return FLOPS * self.head * np.asarray(tokens, dtype=float)

    def read_weights(self, run: Run = ALL, tokens: ArrayLike = 1.0) -> ArrayLike:
        """Weights that are read once for so many tokens of a sequence, with the head for one.

        Several tokens read the experts of all, as if each token's were drawn at random.
        """
        reached = (1 - (1 - self.share) ** np.asarray(tokens, dtype=float)) / self.share
        of_others = sum(self._of_parts(run, "weights")) - sum(self._of_parts(run, "chosen"))
        return of_others + reached * sum(self._of_parts(run, "chosen")) + self.head

    def read_cache(self, before: ArrayLike, tokens: ArrayLike, run: Run = ALL) -> NDArray:
        """Numbers of keys and values that are read for `tokens` tokens, one after the other, behind
        `before` others: each reads its own as well, which it has written.
        """
        return run.attention * run.attended * self._attended(before, tokens, "cached")

    def written_cache(self, tokens: ArrayLike, run: Run = ALL) -> NDArray:
        """Numbers of keys and values that so many tokens leave."""
        return run.attended * sum(block.cached for block in self.blocks) * np.asarray(tokens)

    def held_cache(self, tokens: ArrayLike) -> NDArray:
        """Numbers of keys and values that are in memory behind so many tokens: there is a place for
        those as well that are left out.
        """
        counts = np.asarray(tokens, dtype=float)
        held = (block.cached * _at_most(counts, block.window) for block in self.blocks)
        return sum(held, np.zeros_like(counts))

    def _of_parts(self, run: Run, what: str) -> Iterator[ArrayLike]:
        for block in self.blocks:
            yield run.attention_weights * getattr(block.attention, what)
            yield run.mlp * getattr(block.mlp, what)
            yield getattr(block.router, what)

    def _attended(self, before: ArrayLike, tokens: ArrayLike, what: str) -> NDArray:
        """What each token attended to takes, by all blocks, over all tokens of a span."""
        first = np.asarray(before, dtype=float)
        last = first + np.asarray(tokens)
        of_window: dict[int | None, int] = {}
        for block in self.blocks:
            of_window[block.window] = of_window.get(block.window, 0) + getattr(block, what)
        spans = (
            count * (_sum_to(last, window) - _sum_to(first, window))
            for window, count in of_window.items()
        )
        return sum(spans, np.zeros_like(last))


def _at_most(counts: NDArray, window: int | None) -> NDArray:
    return counts if window is None else np.minimum(counts, window)


def _sum_to(count: NDArray, window: int | None) -> NDArray:
    """The tokens that the first `count` tokens attend to, each to itself and those before it."""
    inside = _at_most(count, window)
    beyond = 0.0 if window is None else (count - inside) * window
    return inside * (inside + 1) / 2 + beyond


def model_work(checkpoint: Checkpoint) -> Work:
    """The work of a dense model."""
    return _work(checkpoint, {**checkpoint.shapes}, range(checkpoint.blocks), {})


def variant_work(checkpoint: Checkpoint, record: MaskRecord) -> Work:
    """The work of a variant of it, as the record of its mask says.

    Low-rank deltas are part of what they change, and cost nothing.
    """
    found, shapes = linears(checkpoint), {**checkpoint.shapes}
    for name, tensor in record.weights.items():
        if not name.endswith((LORA_A, LORA_B)):
            shapes[name] = tensor.shape
    if record.sliced_width is not None:
        shapes = {name: shape for name, shape in shapes.items() if not name.endswith(FOLDED)}
    if record.export:
        shapes |= narrow_shapes(found, shapes, record.export.units)
    zeros = {name: linear.achieved * linear.weights for name, linear in record.linears.items()}
    kept = {one.name: one.weights - zeros[one.name] for one in found if one.name in zeros}
    return _work(checkpoint, shapes, record.kept_blocks, kept)


def narrow_shapes(
    found: Sequence[Linear], shapes: Shapes, units: Mapping[str, tuple[int, int]]
) -> Shapes:
    """The shapes of linears, and of their biases, that keep so many (of so many) units."""

    def left(size: int, kind: str) -> int:
        kept, whole = units.get(kind, (1, 1))
        return size * kept // whole

    across = {linear.block: linear.shape[1] for linear in found if linear.role == "o"}
    narrow: Shapes = {}
    for linear in found if units else ():
        rows, columns = linear.shape
        if linear.role == "q":
            rows = left(rows, QUERY_HEAD)
        elif linear.role in ("k", "v"):
            rows = left(rows, KV_GROUP)
        elif linear.role == "qkv":
            queries = across[linear.block]
            rows = left(queries, QUERY_HEAD) + left(rows - queries, KV_GROUP)
        elif linear.role == "o":
            columns = left(columns, QUERY_HEAD)
        elif linear.role == "down":
            columns = left(columns, NEURON)
        else:
            rows = left(rows, NEURON)
        narrow[linear.name] = rows, columns
        if linear.bias in shapes:
            narrow[linear.bias] = (rows,)
    return narrow


def _work(
    checkpoint: Checkpoint, shapes: Shapes, blocks: Iterable[int], kept: Mapping[str, float]
) -> Work:
    """From the shapes of all tensors, those of blocks that are gone included. `kept` has by
    name the weights that are not zero, of linears where some are.
    """
    experts = {expert_number(name) for name in shapes} - {None}
    share = chosen_experts(checkpoint.config, len(experts)) / len(experts) if experts else 1.0
    parts: dict[tuple[int, str], list[float]] = {}  # by block, and of what of it
    for name, shape in shapes.items():
        if not (place := split_block(name)):
            continue
        sums = parts.setdefault((place[0], _owner(place[1])), [0.0, 0.0, 0.0, 0.0])
        weights = math.prod(shape) * (share if is_of_expert(name) else 1.0)
        sums[2] += weights
        sums[3] += weights if is_of_expert(name) else 0.0
        if len(shape) == 2 and name.endswith(".weight"):
            sums[0] += weights
            sums[1] += kept[name] * weights / math.prod(shape) if name in kept else weights
    sides = _attention_sides(checkpoint, shapes, kept)
    spans = windows(checkpoint.config, checkpoint.blocks)
    stay = tuple(blocks)
    found = [
        Block(
            Part(*parts[block, "attention"]),
            Part(*parts[block, "mlp"]),
            *sides[block],
            spans[block],
            Part(*parts.get((block, "router"), ())),
        )
        for block in stay
    ]
    left = {
        name: shape
        for name, shape in shapes.items()
        if not (place := split_block(name)) or place[0] in stay
    }
    if HEAD in checkpoint.shapes:  # a sliced model has one of its own where the dense one has none
        left = parameter_shapes(checkpoint, left)
    head = math.prod(shapes.get(HEAD, shapes[EMBEDDING]))
    return Work(tuple(found), head, sum(map(math.prod, left.values())), share)


def _owner(name: str) -> str:
    """What of its block a tensor belongs to."""
    if name.startswith(OF_ROUTER):
        return "router"
    return "attention" if name.startswith(OF_ATTENTION) else "mlp"


def _attention_sides(
    checkpoint: Checkpoint, shapes: Shapes, kept: Mapping[str, float]
) -> dict[int, tuple[int, int, int]]:
    """By block, `pairs`, `kept_pairs` and `cached` as `Block` has them.

    A query takes its product with a key and then one with a value, and all queries together are as
    wide as what o reads.
    """
    products = PRODUCTS.get(str(checkpoint.config.get("model_type")), 2)
    queries, cached, unread = {}, {}, set()
    for linear in linears(checkpoint):
        rows, columns = shapes[linear.name]
        if linear.role == "o":
            queries[linear.block] = columns
            if kept.get(linear.name) == 0:
                unread.add(linear.block)
        elif linear.role in ("k", "v", "qkv"):
            cached[linear.block] = cached.get(linear.block, 0) + rows
    fused = any(linear.role == "qkv" for linear in linears(checkpoint))
    return {
        block: (
            products * across,
            0 if block in unread else products * across,
            cached[block] - (across if fused else 0),
        )
        for block, across in queries.items()
    }
