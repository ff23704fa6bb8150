"""How narrow an export can be: heads and neurons that a mask takes out whole are left out of it.

Classes of models have one number of heads and of neurons for all blocks. So every block loses as
many as the one with the fewest that are gone; what is gone beyond that stays, as zeros. What is
gone, the bits of the mask say, whatever made it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from workflow_scripts.artefacts.config_changes import FLAGS, WINDOWS, config_changes, rewritten
from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import Checkpoint, Linear
from workflow_scripts.models.unit_names import KV_GROUP, NEURON, QUERY_HEAD
from workflow_scripts.models.units import ROWS, BlockUnits, block_units

# whose config.json can say that heads are fewer, or that have a class like them that can
FEWER_HEADS = ("llama", "mistral", "qwen2", "qwen3")


@dataclass(frozen=True)
class Narrow:
    """What an export leaves out. The default leaves out nothing.

    `kept` has, by the names of tensors that become smaller, the numbers of the rows and columns
    that stay, by dimension; `config` is what changes in config.json; `units` says by kind how many
    of how many units a block keeps, and `zeros` how many heads and neurons that are gone stay as
    zeros, in all blocks together.
    """

    kept: Mapping[str, Mapping[int, Tensor]] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    units: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    zeros: Mapping[str, int] = field(default_factory=dict)

    def shape(self, name: str, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape that is left of a tensor of that shape."""
        kept = self.kept.get(name, {})
        return tuple(len(kept[i]) if i in kept else size for i, size in enumerate(shape))

    def entries(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """config.json with its changes."""
        entries = {**config, **self.config}
        gone = {key for key in WINDOWS if self.config.get(key, 0) is None}
        if entries.get("model_type") == "mistral":
            gone -= {"sliding_window"}  # it would have one unless it is told that there is none
        return {key: value for key, value in entries.items() if key not in gone}

    def cut(self, name: str, tensor: Tensor) -> Tensor:
        """What is left of a tensor."""
        for dimension, numbers in self.kept.get(name, {}).items():
            tensor = tensor.index_select(dimension, numbers)
        return tensor


@dataclass(frozen=True)
class _Of:
    """Some units of a block, ascending: KV groups, query heads (those of the groups as well) and
    neurons.
    """

    block: BlockUnits
    groups: tuple[int, ...] = ()
    heads: tuple[int, ...] = ()
    neurons: tuple[int, ...] = ()

    def by_kind(self) -> dict[str, tuple[int, ...]]:
        return {KV_GROUP: self.groups, QUERY_HEAD: self.heads, NEURON: self.neurons}


def narrowed(checkpoint: Checkpoint, pruned: Pruned) -> Narrow:
    """How narrow a variant of a checkpoint can be exported."""
    try:
        blocks = block_units(checkpoint)
    except InputError:  # experts, or heads that depend on one another
        return Narrow()
    gone = [_gone(blocks[block], pruned) for block in pruned.record.kept_blocks]
    out, config = _heads_out(gone), {}
    if out[0].heads:
        try:
            config = _fewer_heads(checkpoint, pruned, out[0])
        except InputError:  # no class has such heads
            out = [_Of(one.block) for one in out]
    neurons = _neurons_out(checkpoint, gone)
    if neurons:
        config["intermediate_size"] = blocks[0].neurons - neurons
        out = [
            replace(one, neurons=some.neurons[:neurons])
            for one, some in zip(out, gone, strict=True)
        ]
    zeros = {
        kind: sum(len(one.by_kind()[kind]) for one in gone)
        - len(gone) * len(out[0].by_kind()[kind])
        for kind in (QUERY_HEAD, NEURON)
    }
    return Narrow(
        kept={name: kept for one in out for name, kept in _kept(one).items()},
        config=config,
        units={
            kind: (blocks[0].count(kind) - len(some), blocks[0].count(kind))
            for kind, some in out[0].by_kind().items()
            if some
        },
        zeros={kind: count for kind, count in zeros.items() if count},
    )


def _gone(block: BlockUnits, pruned: Pruned) -> _Of:
    """What a mask takes out of a block: units none of whose weights is kept."""
    names = [linear.name for linear in block.linears.values()]
    if not all(name in pruned.record.linears for name in names):
        return _Of(block)
    masks = {name: pruned.kept(name) for name in names}

    def empty(kind: str) -> tuple[int, ...]:
        kept = sum(
            lines.sums(masks[lines.linear.name].any(1 - lines.dimension), block.count(kind))
            for lines in block.lines(kind)
        )
        return tuple((kept == 0).nonzero().squeeze(1).tolist())

    # keys and values that no query reads count for nothing
    heads = empty(QUERY_HEAD)
    in_group = Counter(head // block.queries_per_group for head in heads)
    groups = [group for group, count in in_group.items() if count == block.queries_per_group]
    return _Of(block, tuple(sorted(groups)), heads, empty(NEURON))


def _heads_out(gone: Sequence[_Of]) -> list[_Of]:
    """The heads that each block loses: as many groups in all, and then heads in every group."""
    size = gone[0].block.queries_per_group
    whole = min(*(len(one.groups) for one in gone), gone[0].block.kv_heads - 1)
    single, by_group = size - 1, []
    for one in gone:
        groups = [group for group in range(one.block.kv_heads) if group not in one.groups[:whole]]
        by_group.append([[h for h in one.heads if h // size == group] for group in groups])
        single = min(single, *map(len, by_group[-1]))
    out = []
    for one, in_groups in zip(gone, by_group, strict=True):
        groups = one.groups[:whole]
        heads = [head for head in one.heads if head // size in groups]
        heads += [head for of_group in in_groups for head in of_group[:single]]
        out.append(_Of(one.block, groups, tuple(sorted(heads))))
    return out


def _neurons_out(checkpoint: Checkpoint, gone: Sequence[_Of]) -> int:
    """How many neurons every block loses."""
    sizes = {one.block.neurons for one in gone}
    if sizes != {checkpoint.config.get("intermediate_size")}:  # of some other key, or of several
        return 0
    return min(*(len(one.neurons) for one in gone), *(size - 1 for size in sizes))


def _fewer_heads(checkpoint: Checkpoint, pruned: Pruned, out: _Of) -> dict[str, Any]:
    """What changes in config.json where every block loses as many heads as the one given.

    transformers' Llama wants a hidden size that the number of heads divides, and vLLM's Qwen2 takes
    the size of a head from it: a Qwen2 becomes a Llama, and what a Llama cannot be becomes a
    Mistral, which has the same blocks, or, with biases, a Seed-OSS. Raises `InputError` where no
    class has such heads.
    """
    kind, block = checkpoint.config.get("model_type"), out.block
    if kind not in FEWER_HEADS:
        raise InputError(f"{checkpoint.folder}: a {kind} cannot have fewer heads")
    left = block.query_heads - len(out.heads)
    sizes = {
        "num_attention_heads": left,
        "num_key_value_heads": block.kv_heads - len(out.groups),
        "head_dim": block.head_dim,
    }
    if kind in ("mistral", "qwen3"):
        return sizes
    config = {**checkpoint.config, **config_changes(checkpoint, pruned.record.weights)}
    biases = {flag: bool(config.get(flag)) for flag in FLAGS.values()}
    biases["attention_bias"] |= kind == "qwen2"
    if checkpoint.config["hidden_size"] % left == 0:
        return sizes if kind == "llama" else rewritten(checkpoint, "llama") | sizes | biases
    if any(biases.values()):
        others = {"attention_out_bias": biases["attention_bias"], "residual_dropout": 0.0}
        return rewritten(checkpoint, "seed_oss") | sizes | biases | others
    return rewritten(checkpoint, "mistral") | sizes | {"sliding_window": None}


def _kept(out: _Of) -> dict[str, dict[int, Tensor]]:
    """The numbers of the rows and columns that stay where units go, of weights and of biases."""
    stays: dict[tuple[Linear, int], Tensor] = {}
    for kind, units in out.by_kind().items():
        if not units:
            continue
        leaves = torch.zeros(out.block.count(kind) + 1, dtype=torch.bool)  # the last for no unit
        leaves[list(units)] = True
        for lines in out.block.lines(kind):
            place = lines.linear, lines.dimension
            stays[place] = stays.get(place, True) & ~leaves[lines.owner]
    found: dict[str, dict[int, Tensor]] = {}
    for (linear, dimension), mask in stays.items():
        numbers = mask.nonzero().squeeze(1)
        found.setdefault(linear.name, {})[dimension] = numbers
        if dimension == ROWS:
            found[linear.bias] = {ROWS: numbers}
    return found
