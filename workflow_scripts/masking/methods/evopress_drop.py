"""EvoPress, drop mode (arXiv 2410.14649): attentions and MLPs go apart, found by a search.

A state has a 1 for every attention that is removed and, behind them, for every MLP. Of an attention
or an MLP that goes all weights are masked; its o_proj or down_proj alone would do, and the others
would count as kept. A block that loses both is removed where the architecture allows it.
"""

import random
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from workflow_scripts.artefacts.masks import Plan, PrunedLinear
from workflow_scripts.masking.inputs import Inputs
from workflow_scripts.models.block_removal import REMOVABLE
from workflow_scripts.models.checkpoints import Linear
from workflow_scripts.pruning.fitness import (
    HeldModel,
    divergence,
    drawn,
    embedded,
    hold,
    mean_loss,
    outputs,
)
from workflow_scripts.pruning.search import State, announce, evolve, swaps

PARTS = ("attention", "mlp")
LAST = {"attention": "o", "mlp": "down"}  # the role behind which nothing of a part is left


def plan(inputs: Inputs) -> Plan:
    """Remove as many attentions and MLPs as the options say."""
    options, blocks = inputs.options, inputs.checkpoint.blocks
    whole = inputs.checkpoint.config.get("model_type") in REMOVABLE
    search = PartSearch(inputs, hold(inputs.checkpoint, inputs.device), whole)
    announce(options, blocks, inputs.calibration.numel())
    first = random.Random(f"{options.seed} start")
    start = dict.fromkeys(search.drawn(first) for _ in range(options.initial))
    found = evolve(
        options,
        options.generations_of(blocks),
        [*start],
        search.mutated,
        search.measure,
        inputs.done,
    )
    removed = removed_blocks(found, blocks) if whole else ()
    gone = [
        linear
        for linear in inputs.linears
        if is_gone(found, linear, blocks) and linear.block not in removed
    ]
    masks = (PrunedLinear(x.name, torch.zeros(x.shape, dtype=torch.bool)) for x in gone)
    return Plan({linear.name: 1.0 for linear in gone}, masks, removed)


def is_gone(state: State, linear: Linear, blocks: int) -> bool:
    """Whether a linear's part of its block is removed."""
    return bool(state[PARTS.index(linear.part) * blocks + linear.block])


def removed_blocks(state: State, blocks: int) -> tuple[int, ...]:
    """The blocks of which nothing is left."""
    return tuple(b for b in range(blocks) if state[b] and state[blocks + b])


class PartSearch:
    """A model whose parts are removed as states say, over and over.

    `whole`: a block without both parts is left out, and not run without what they hand on.
    """

    def __init__(self, inputs: Inputs, model: HeldModel, whole: bool) -> None:
        self._inputs, self._model, self._whole = inputs, model, whole
        self._blocks = inputs.checkpoint.blocks
        wanted = inputs.options.parts
        self._parts = [place for place, part in enumerate(PARTS) if wanted in ("both", part)]
        self._ends: dict[int, list[Linear]] = {block: [] for block in range(self._blocks)}
        for linear in inputs.linears:
            if linear.role == LAST[linear.part]:
                self._ends[linear.block].append(linear)
        kind = {"dtype": model.decoder.dtype, "device": inputs.device}
        ends = [linear for linears in self._ends.values() for linear in linears]
        self._zeros = {shape: torch.zeros(shape, **kind) for shape in {x.shape for x in ends}}

    def drawn(self, draw: random.Random) -> State:
        """A random choice."""
        state = [0] * (2 * self._blocks)
        for place in self._parts:
            for block in draw.sample(range(self._blocks), self._inputs.options.remove_parts):
                state[place * self._blocks + block] = 1
        return tuple(state)

    def mutated(self, state: State, draw: random.Random) -> State:
        """A choice in which one to three parts came back for others of the same kind."""
        changed = list(state)
        for _ in range(swaps(draw)):
            place = draw.choice(self._parts)
            here = range(place * self._blocks, (place + 1) * self._blocks)
            back = draw.choice([one for one in here if changed[one]])
            gone = draw.choice([one for one in here if not changed[one]])
            changed[back], changed[gone] = 0, 1
        return tuple(changed)

    def measure(self, states: Sequence[State], tokens: int, draw: random.Random) -> list[float]:
        """The fitness of each on about so many tokens of the calibration set."""
        ready = embedded(self._model, drawn(self._inputs.calibration, tokens, draw))
        by_outputs = self._inputs.options.fitness == "kl"
        dense = outputs(self._model, ready) if by_outputs else None

        def fitness(state: State) -> float:
            left = outputs(self._model, ready, lambda block: self._change(block, state))
            if by_outputs:
                return divergence(self._model.head, dense, left)
            return mean_loss(self._model.head, left, ready.input_ids)

        return [fitness(state) for state in states]

    def _change(self, block: int, state: State) -> Mapping[str, Tensor] | None:
        """Zeros for what ends a removed part."""
        if self._whole and state[block] and state[self._blocks + block]:
            return None
        return {
            linear.module: self._zeros[linear.shape]
            for linear in self._ends[block]
            if is_gone(state, linear, self._blocks)
        }
