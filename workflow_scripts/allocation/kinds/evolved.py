"""Sparsities of blocks by an evolutionary search (EvoPress, arXiv 2410.14649).

A state says how many steps of sparsity each block has more, or fewer, than the target. A step is as
many weights for one block as for another, so that the mean never moves. What is kept low is the
divergence of the pruned model's outputs from the dense model's. A state is pruned by the method's
own scores, which are the database of levels that EvoPress keeps for methods that update weights.

Beside what `pruning.fitness` holds, there is a bit in memory for every weight of a block and every
sparsity that was tried for it.
"""

import math
import random
from collections.abc import Mapping, Sequence
from itertools import groupby

import torch
from torch import Tensor

from workflow_scripts.allocation.request import Request
from workflow_scripts.artefacts.masks import pack, unpack
from workflow_scripts.config.methods.unstructured import Wanda
from workflow_scripts.models import checkpoints
from workflow_scripts.models.checkpoints import Linear
from workflow_scripts.pruning.fitness import (
    HeldModel,
    divergence,
    drawn,
    embedded,
    hold,
    outputs,
)
from workflow_scripts.pruning.kernels import magnitude_scores, wanda_scores
from workflow_scripts.pruning.search import State, announce, evolve, swaps
from workflow_scripts.pruning.selection import keep_selected, magnitude_selection, row_selection


def divide(request: Request) -> dict[str, float]:
    """One sparsity for all linears of a block, found by search."""
    options, sizes = request.options, [*request.block_weights().values()]
    levels = Levels(sizes, request.target, options.step)
    if len(sizes) == 1:
        return request.by_block([request.target])
    search = BlockSearch(request, hold(request.checkpoint, request.device), levels)
    announce(options, request.checkpoint.blocks, request.calibration.numel())
    found = evolve(
        options,
        options.generations,
        [(0,) * len(sizes)],
        levels.mutated,
        search.measure,
        request.done,
    )
    return request.by_block(levels.sparsities(found))


class Levels:
    """States and the sparsities that they stand for; `weights` has the size of every block."""

    def __init__(self, weights: Sequence[int], target: float, step: float) -> None:
        mean = sum(weights) / len(weights)
        self._target, self._steps = target, [step * mean / size for size in weights]

    def sparsity(self, place: int, level: int) -> float:
        """The sparsity of the block at a place."""
        return self._target + level * self._steps[place]

    def sparsities(self, state: State) -> list[float]:
        """The sparsity of every block."""
        return [self.sparsity(place, level) for place, level in enumerate(state)]

    def mutated(self, state: State, draw: random.Random) -> State:
        """A state with one to three steps moved from one block to another, within 0 and 1."""
        changed = list(state)
        for _ in range(swaps(draw)):
            up, down = draw.sample(range(len(state)), 2)
            highest = self.sparsity(up, changed[up] + 1)
            lowest = self.sparsity(down, changed[down] - 1)
            if highest <= 1 and lowest >= 0:
                changed[up] += 1
                changed[down] -= 1
        return tuple(changed)


class BlockSearch:
    """A model that is pruned as states say, over and over."""

    def __init__(self, request: Request, model: HeldModel, levels: Levels) -> None:
        self._request, self._model, self._levels = request, model, levels
        by_block = groupby(request.linears, key=lambda linear: linear.block)
        self._linears = {block: list(group) for block, group in by_block}
        self._places = {block: place for place, block in enumerate(self._linears)}
        self._kept: dict[tuple[int, int], dict[str, Tensor]] = {}

    def measure(self, states: Sequence[State], tokens: int, draw: random.Random) -> list[float]:
        """The divergence of each on about so many tokens of the calibration set."""
        ready = embedded(self._model, drawn(self._request.calibration, tokens, draw))
        dense = outputs(self._model, ready)
        return [
            divergence(
                self._model.head,
                dense,
                outputs(self._model, ready, lambda block, state=state: self._change(block, state)),
            )
            for state in states
        ]

    def _change(self, block: int, state: State) -> Mapping[str, Tensor]:
        """The pruned weights of a block."""
        if block not in self._places:
            return {}
        level = state[self._places[block]]
        if (block, level) not in self._kept:
            self._kept[block, level] = self._masks(block, level)
        module = self._model.blocks[block].get_submodule
        return {
            linear.module: module(linear.module).weight
            * unpacked(self._kept[block, level][linear.name], linear.shape)
            for linear in self._linears[block]
        }

    def _masks(self, block: int, level: int) -> dict[str, Tensor]:
        """The packed masks of a block's linears, as the method makes them of the checkpoint's
        weights.
        """
        sparsity = self._levels.sparsity(self._places[block], level)
        return {
            linear.name: pack(self._keep(linear, sparsity)).to(self._request.device)
            for linear in self._linears[block]
        }

    def _keep(self, linear: Linear, sparsity: float) -> Tensor:
        method, kind = self._request.method, self._request.options.kind
        weight = checkpoints.load_tensor(self._request.checkpoint, linear.name)
        if isinstance(method, Wanda):
            scores = wanda_scores(weight, self._request.statistics.sum_squares[linear.name])
            return keep_selected(row_selection(method), linear, scores, sparsity)
        selection = magnitude_selection(method, kind)
        return keep_selected(selection, linear, magnitude_scores(weight), sparsity)


def unpacked(packed: Tensor, shape: tuple[int, int]) -> Tensor:
    """`artefacts.masks.unpack`, on a GPU too: masks are moved there as bits."""
    if packed.is_cpu:
        return unpack(packed, shape)
    bits = packed[:, None] >> torch.arange(8, dtype=torch.uint8, device=packed.device) & 1
    return bits.reshape(-1)[: math.prod(shape)].bool().reshape(shape)
