"""Structural units: what a block can lose whole, and which rows and columns belong to each.

    kv-group     a head of keys and values with the query heads that read it
    query-head   one query head; its keys and values stay
    neuron       of the MLP

A unit has rows of the linears that make it (q, k, v; gate, up) and columns of the one that reads it
(o; down). Query head i reads the keys and values of head i // n, with n query heads to one of
these. The norms of q and k, whose scales all heads share, and the biases of o and down stay
whichever units go. Without the columns of o or down a unit is gone, biases of its own rows or not:
nothing reads it.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from workflow_scripts.errors import InputError
from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import Checkpoint, Linear
from workflow_scripts.models.unit_names import KV_GROUP, NEURON, QUERY_HEAD

ROWS, COLUMNS = 0, 1
# norms of every head alone, by the scales that all heads share
HEAD_NORMS = ("q_norm", "k_norm", "query_layernorm", "key_layernorm")
INSTEAD = "methods that remove single weights or whole blocks can prune it"


@dataclass(frozen=True)
class Lines:
    """The rows or the columns of a linear (`dimension` 0 or 1), each by its unit.

    `owner` is int64 of shape (rows,) or (columns,), -1 for what belongs to no unit. A bias of the
    linear has the owners of its rows.
    """

    linear: Linear
    dimension: int
    owner: Tensor

    def of(self, unit: int) -> Tensor:
        """The numbers of a unit's rows or columns, ascending."""
        return (self.owner == unit).nonzero().squeeze(1)

    def sums(self, values: Tensor, units: int) -> Tensor:
        """What the values of the lines, (rows,) or (columns,), add up to in each unit; float64."""
        # the unit behind the last one takes what belongs to none
        places = torch.where(self.owner < 0, units, self.owner)
        total = torch.zeros(units + 1, dtype=torch.float64)
        return total.index_add(0, places, values.double().cpu())[:units]


@dataclass(frozen=True)
class BlockUnits:
    """The units of one block. `linears` has its linears by role."""

    block: int
    query_heads: int
    kv_heads: int
    head_dim: int
    neurons: int
    linears: Mapping[str, Linear]

    @property
    def queries_per_group(self) -> int:
        return self.query_heads // self.kv_heads

    @property
    def weights(self) -> int:
        """All weights of the block's linears."""
        return sum(linear.weights for linear in self.linears.values())

    def count(self, kind: str) -> int:
        """How many units of a kind the block has."""
        return {
            KV_GROUP: self.kv_heads,
            QUERY_HEAD: self.query_heads,
            NEURON: self.neurons,
        }[kind]

    def unit_weights(self, kind: str) -> int:
        """How many weights one unit has in all linears together, biases left aside."""
        return sum(len(x.of(0)) * x.linear.shape[1 - x.dimension] for x in self.lines(kind))

    def lines(self, kind: str) -> tuple[Lines, ...]:
        """Every linear that has rows or columns of units of a kind, in the order of the data."""
        if kind == NEURON:
            rows = torch.arange(self.neurons)
            if "gate_up" in self.linears:
                made_by = [("gate_up", torch.cat([rows, rows]))]
            else:
                made_by = [("gate", rows), ("up", rows)]
            return self._lines(made_by, "down", rows)
        queries = torch.arange(self.query_heads).repeat_interleave(self.head_dim)
        keys = torch.full((self.kv_heads * self.head_dim,), -1)
        if kind == KV_GROUP:
            queries //= self.queries_per_group
            keys = torch.arange(self.kv_heads).repeat_interleave(self.head_dim)
        if "qkv" in self.linears:
            made_by = [("qkv", torch.cat([queries, keys, keys]))]
        else:
            made_by = [("q", queries), ("k", keys), ("v", keys)]
        return self._lines(made_by, "o", queries)

    def _lines(
        self, made_by: list[tuple[str, Tensor]], read_by: str, columns: Tensor
    ) -> tuple[Lines, ...]:
        found = [Lines(self.linears[role], ROWS, owner) for role, owner in made_by]
        found = [lines for lines in found if (lines.owner >= 0).any()]
        return (*found, Lines(self.linears[read_by], COLUMNS, columns))

    def keep(self, removed: Mapping[str, Collection[int]]) -> dict[str, Tensor]:
        """Which weights stay when units go, given by kind: bool, (output, input), True = kept.

        By the names of the weights, for every linear of the block.
        """
        masks = {
            linear.name: torch.ones(linear.shape, dtype=torch.bool)
            for linear in self.linears.values()
        }
        for kind, units in removed.items():
            gone = torch.zeros(self.count(kind) + 1, dtype=torch.bool)  # the last for no unit: -1
            gone[list(units)] = True
            for lines in self.lines(kind):
                mask = masks[lines.linear.name]
                (mask if lines.dimension == ROWS else mask.T)[gone[lines.owner]] = False
        return masks


def block_units(checkpoint: Checkpoint) -> tuple[BlockUnits, ...]:
    """The units of every block.

    Raises `InputError` for an architecture with experts, and where heads or neurons depend on one
    another.
    """
    inside: dict[int, dict[str, Linear]] = {block: {} for block in range(checkpoint.blocks)}
    for linear in checkpoints.linears(checkpoint):
        if linear.of_expert:
            raise InputError(
                f"{checkpoint.folder}: its blocks have no MLP neurons that every token passes, as "
                f"width pruning needs: {linear.name} is an expert's; {INSTEAD}"
            )
        inside[linear.block][linear.role] = linear
    heads = checkpoint.config.get("num_attention_heads")
    return tuple(_units(checkpoint, block, linears, heads) for block, linears in inside.items())


def _units(
    checkpoint: Checkpoint, block: int, linears: Mapping[str, Linear], heads: object
) -> BlockUnits:
    across = linears["o"].shape[1]  # of all query heads
    if type(heads) is not int or heads < 1 or across % heads:
        raise InputError(
            f"{checkpoint.folder / checkpoints.CONFIG}: num_attention_heads is {heads!r}, and "
            f"{linears['o'].name} reads {across} numbers from all heads together"
        )
    head_dim = across // heads
    keys = (linears["qkv"].shape[0] - across) // 2 if "qkv" in linears else linears["k"].shape[0]
    _check_independent(checkpoint, block, linears, head_dim)
    neurons = linears["down"].shape[1]
    return BlockUnits(block, heads, keys // head_dim, head_dim, neurons, linears)


def _check_independent(
    checkpoint: Checkpoint, block: int, linears: Mapping[str, Linear], head_dim: int
) -> None:
    """Raise `InputError` where attention or MLP have tensors that no unit owns a part of."""
    prefix = checkpoints.block_prefix(block)
    known = {name for linear in linears.values() for name in (linear.name, linear.bias)}
    norms = {f"{prefix}self_attn.{norm}.weight" for norm in HEAD_NORMS}
    for name, shape in checkpoint.shapes.items():
        if not name.startswith((f"{prefix}self_attn.", f"{prefix}mlp.")) or name in known:
            continue
        if not (name in norms and math.prod(shape) == head_dim):
            raise InputError(
                f"{checkpoint.folder}: width pruning needs heads and neurons that do not depend on "
                f"one another, and {name} is of all of them together; {INSTEAD}"
            )
