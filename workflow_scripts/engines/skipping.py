"""A decoding step that leaves out what tokens skip.

The rows of a step that run a sublayer are computed together, the others not at all; of keys and
values that are kept, these rows still compute theirs. As a sum may be rounded by the number of rows
in it, numbers of rows are few (`sizes`), each one found to be like the reference, and rows that
skip fill them up; what they compute is thrown away.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workflow_scripts.models.routed import Decide, Gates, Routed, by_margin
from workflow_scripts.models.routing import BLOCK, PARTS

if TYPE_CHECKING:
    from workflow_scripts.engines.slots import SlotCache


def row_counts(rows: int, fewest: int) -> Iterator[int]:
    """The numbers of rows that may be computed of so many: multiples of the fewest, and all."""
    yield from range(fewest, rows, fewest)
    yield rows


def first_rows(running: int, rows: int) -> Decide:
    """Gates by which the first so many of all rows run everything, and the others nothing."""

    def decide(block: int, name: str, margins: Tensor, must_run: Tensor | None) -> Gates:
        run = torch.arange(rows, device=margins.device)[:, None] < running
        return run.to(margins.dtype), run

    return decide


class Chosen:
    """Some rows of a step, `wanted` bool (rows,), filled up to one of `sizes` by others.

    `rows` are their numbers, the wanted ones first; None where they are all rows, in their order.
    """

    def __init__(self, wanted: Tensor, sizes: Sequence[int]) -> None:
        self.wanted = wanted.nonzero()[:, 0]
        size = next(size for size in sizes if size >= len(self.wanted))
        self.rows: Tensor | None = None
        if size < len(wanted):
            self.rows = torch.cat([self.wanted, (~wanted).nonzero()[:, 0]])[:size]

    def of(self, states: Tensor) -> Tensor:
        """The chosen ones of (rows, ...)."""
        return states if self.rows is None else states[self.rows]

    def wanted_of(self, computed: Tensor) -> Tensor:
        """Of what was computed for the chosen rows, that of the wanted ones."""
        return computed[self.wanted] if self.rows is None else computed[: len(self.wanted)]


class _RowsOfCache:
    """Where transformers expects a cache: the new keys and values of chosen rows of a step."""

    def __init__(self, cache: "SlotCache", chosen: Chosen) -> None:
        self._cache, self._chosen = cache, chosen

    def update(
        self, keys: Tensor, values: Tensor, block: int, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        chosen, cache = self._chosen, self._cache
        cache.write(chosen.wanted, chosen.wanted_of(keys), chosen.wanted_of(values), block)
        seen_keys, seen_values = cache.seen(block)
        return chosen.of(seen_keys), chosen.of(seen_values)


class SkippingStep:
    """Passes blocks with one new token in each row of a step; `run` says afterwards what ran.

    Rows of the cache that are not active run nothing. `decide` makes gates of margins, as in
    `models.routed`.
    """

    def __init__(
        self, cache: "SlotCache", sizes: Sequence[int], decide: Decide | None = None
    ) -> None:
        self._cache, self._sizes = cache, sizes
        self._active = cache.active.to(cache.positions.device)
        self._decide = decide
        self._run: dict[int, dict[str, Tensor]] = {}

    def run(self, blocks: int) -> NDArray[np.bool_]:
        """What ran, (rows, sublayers), the two of a block side by side."""
        everything = self._active
        ran = [self._run[i].get(part, everything) for i in range(blocks) for part in PARTS]
        return torch.stack(ran, dim=1).cpu().numpy()

    def __call__(self, block: nn.Module, hidden: Tensor, **options: Any) -> Tensor:
        router: Routed = block.router
        must_run = router.reserved(options["position_ids"])
        ran = self._run[router.number] = {}

        def gates(name: str, state: Tensor) -> Gates | None:
            margins = router.margins(name, state)
            if margins is None:
                return None
            gate, run = self._gates(router, name, margins, must_run)
            run = run[:, 0] & self._active
            ran.update(dict.fromkeys(PARTS if name == BLOCK else (name,), run))
            return gate, run

        of_block = gates(BLOCK, hidden)
        of_attention = of_block or gates("attention", hidden)
        behind = self._attention(block, hidden, of_attention, options)
        reads_block = router.routing.reads == "block"
        of_mlp = of_block or gates("mlp", hidden if reads_block else behind)
        return self._mlp(block, behind, of_mlp)

    def _gates(self, router: Routed, name: str, margins: Tensor, must_run: Tensor | None) -> Gates:
        if self._decide:
            return self._decide(router.number, name, margins, must_run)
        if not router.routing.is_causal:  # nobody knows which are the largest
            return margins, torch.ones_like(margins, dtype=torch.bool)
        return by_margin(router.routing, margins, must_run)

    def _attention(
        self, block: nn.Module, hidden: Tensor, gates: Gates | None, options: dict[str, Any]
    ) -> Tensor:
        """Hidden states behind attention."""
        router, cache = block.router, self._cache
        run = self._active if gates is None else gates[1]
        evicts = router.routing.keys == "evicted"
        if cache.present is not None:
            cache.note(run, router.number)
        if not evicts and not torch.equal(run, self._active):
            self._keys_and_values(block, hidden, self._active & ~run, options)
        if not run.any():
            return hidden
        chosen = Chosen(run, self._sizes)
        mask = options["attention_mask"]
        if cache.present is not None:
            mask = mask & cache.there(router.number)
        cos, sin = options["position_embeddings"]
        attended, _ = block.self_attn(
            hidden_states=block.input_layernorm(chosen.of(hidden)),
            position_embeddings=(chosen.of(cos), chosen.of(sin)),
            attention_mask=chosen.of(mask),
            past_key_values=_RowsOfCache(cache, chosen),
        )
        return _with_added(hidden, chosen, attended, gates)

    def _keys_and_values(
        self, block: nn.Module, hidden: Tensor, wanted: Tensor, options: dict[str, Any]
    ) -> None:
        """Put keys and values of rows that skip attention into the cache."""
        attention, chosen = block.self_attn, Chosen(wanted, self._sizes)
        normed = block.input_layernorm(chosen.of(hidden))
        shape = (*normed.shape[:2], -1, attention.head_dim)
        keys = attention.k_proj(normed).view(shape)
        if hasattr(attention, "k_norm"):
            keys = attention.k_norm(keys)
        cos, sin = (chosen.of(part)[:, None] for part in options["position_embeddings"])
        keys = keys.transpose(1, 2)
        one, other = keys.chunk(2, dim=-1)
        keys = keys * cos + torch.cat([-other, one], dim=-1) * sin
        values = attention.v_proj(normed).view(shape).transpose(1, 2)
        self._cache.write(
            chosen.wanted, chosen.wanted_of(keys), chosen.wanted_of(values), block.router.number
        )

    def _mlp(self, block: nn.Module, hidden: Tensor, gates: Gates | None) -> Tensor:
        """Hidden states behind the MLP."""
        run = self._active if gates is None else gates[1]
        if not run.any():
            return hidden
        chosen = Chosen(run, self._sizes)
        computed = block.mlp(block.post_attention_layernorm(chosen.of(hidden)))
        return _with_added(hidden, chosen, computed, gates)


def _with_added(hidden: Tensor, chosen: Chosen, computed: Tensor, gates: Gates | None) -> Tensor:
    """Hidden states (rows, 1, hidden) with what was computed for chosen rows."""
    added, rows = chosen.wanted_of(computed), chosen.wanted
    if gates is not None:
        added = added * gates[0][rows].unsqueeze(-1).to(added.dtype)
    return hidden.index_copy(0, rows, hidden[rows] + added)
