"""Requests that are decoded together: their slots, keys and values, and how prompts are grouped."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from workflow_scripts.engines.interface import Request
from workflow_scripts.engines.sampling import UniformStream

if TYPE_CHECKING:
    from transformers import DynamicCache


@dataclass
class Slot:
    """One request in the making; where it has no token yet, its prompt is still to be prefilled."""

    request: Request
    stream: UniformStream
    tokens: list[int] = field(default_factory=list)
    after_prompt: np.ndarray | None = None  # logits (vocabulary,)
    routes: list[NDArray[np.bool_]] = field(default_factory=list)  # of each token that was put in

    @property
    def position(self) -> int:
        """That of its last token."""
        return len(self.request.prompt) + len(self.tokens) - 1


@dataclass
class Part:
    """The rows that one thread computes: a slot or nothing in each, and their keys and values."""

    slots: list[Slot | None]
    cache: "SlotCache | None" = None


class SlotCache:
    """Keys and values of all slots, (slots, KV heads, length, head size) for every block.

    It stands where transformers expects its own cache: `update` writes the new token of each row at
    that row's position, which a shared position per batch could not. A step sees the first `used`
    tokens. Of a model whose tokens skip sublayers, `active` rows are those that have a request,
    `ran` is what ran in the last step, (slots, sublayers), and where tokens that skip leave no keys
    and values, `present` says for every block which did.
    """

    is_compileable = False

    def __init__(self, like: "DynamicCache", slots: int, length: int, evicts: bool = False) -> None:
        def empty(state: torch.Tensor) -> torch.Tensor:
            return state.new_zeros(slots, state.shape[1], length, state.shape[3])

        self.keys = [empty(layer.keys) for layer in like.layers]
        self.values = [empty(layer.values) for layer in like.layers]
        self.positions = torch.zeros(slots, dtype=torch.long, device=self.keys[0].device)
        self.used = length
        self._rows = torch.arange(slots, device=self.positions.device)
        self.active = torch.ones_like(self._rows, dtype=torch.bool)
        self.ran: NDArray[np.bool_] | None = None
        self.present: list[torch.Tensor] | None = None
        if evicts:
            nothing = torch.ones(slots, length, dtype=torch.bool, device=self.positions.device)
            self.present = [nothing.clone() for _ in self.keys]

    def fill(self, slot: int, prefilled: "DynamicCache", start: int, end: int) -> None:
        """Put a prompt into a slot: the prefilled tokens from `start` to `end`."""
        for i, layer in enumerate(prefilled.layers):
            self.keys[i][slot, :, : end - start] = layer.keys[0, :, start:end]
            self.values[i][slot, :, : end - start] = layer.values[0, :, start:end]
        for i, there in enumerate(self.present or ()):
            prompt = getattr(prefilled, "present", {}).get(i)
            there[slot, : end - start] = True if prompt is None else prompt[0, start:end]

    def copy(self, source: int, slot: int, tokens: int) -> None:
        """Give a slot the first tokens of another one."""
        for states in (*self.keys, *self.values):
            states[slot, :, :tokens] = states[source, :, :tokens]
        for there in self.present or ():
            there[slot, :tokens] = there[source, :tokens]

    def repeat(self, prefilled: "DynamicCache", tokens: int) -> None:
        """Put a prefilled prompt into every slot, over and over, until there are `tokens`."""
        for i, layer in enumerate(prefilled.layers):
            places = torch.arange(tokens, device=layer.keys.device) % layer.keys.shape[2]
            self.keys[i][:, :, :tokens] = layer.keys[:, :, places]
            self.values[i][:, :, :tokens] = layer.values[:, :, places]
        for there in self.present or ():
            there[:] = True

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, block: int, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.write(self._rows, keys, values, block)
        return self.seen(block)

    def write(
        self, rows: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, block: int
    ) -> None:
        """Put the new token of some rows at those rows' positions."""
        at = self.positions[rows]
        self.keys[block][rows, :, at] = keys[:, :, 0]
        self.values[block][rows, :, at] = values[:, :, 0]

    def seen(self, block: int) -> tuple[torch.Tensor, torch.Tensor]:
        """What a step sees of a block's keys and values."""
        return self.keys[block][:, :, : self.used], self.values[block][:, :, : self.used]

    def note(self, run: torch.Tensor, block: int) -> None:
        """Say which rows leave keys and values of their new token in a block, bool (slots,)."""
        self.present[block][self._rows, self.positions] = run

    def there(self, block: int) -> torch.Tensor:
        """Which tokens have left keys and values in a block, (slots, 1, 1, used)."""
        return self.present[block][:, None, None, : self.used]

    def get_seq_length(self, *_: object) -> int:
        return 0


def cache_length(tokens: int) -> int:
    """The power of two, at least 64, that holds `tokens`: few shapes, chosen by need alone."""
    return max(64, 1 << (tokens - 1).bit_length())


def together(
    prompts: Sequence[tuple[int, ...]], fewest: int, most: int
) -> list[list[tuple[int, ...]]]:
    """Prompts in groups of up to `most` tokens; those with fewer than `fewest` stay alone."""
    groups: list[list[tuple[int, ...]]] = []
    room = 0
    for prompt in prompts:
        may_join = len(prompt) >= fewest
        if not may_join or len(prompt) > room:
            groups.append([])
            room = most if may_join else 0
        groups[-1].append(prompt)
        room -= len(prompt)
    return groups
