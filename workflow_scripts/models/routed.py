"""A model whose tokens skip sublayers: routers, and the pass through a block that obeys them.

With x what enters a block and g 0 or 1 for each token, by a router for attention and one for the
MLP, or by one for the block,

    x' = x + g·attention(norm(x))         y = x' + g·MLP(norm(x'))
    y  = x + g·(attention(norm(x)) + MLP(norm(x + attention(norm(x)))))

Mixture of Depths with the largest numbers of a row has the router's number in place of 1. Routers
are kept and computed in float32 whatever the model's dtype: of nearly equal logits it decides which
is larger. Where keys and values are evicted, a token that skips attention is seen by none but
itself.

`FullPass` computes every sublayer for every token and then obeys the gates: for scoring, prompts
and training. An engine that leaves out what is skipped comes with a way of its own, as `routes`.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from workflow_scripts.models.linear_names import BLOCKS
from workflow_scripts.models.routing import BLOCK, PARTS, Routing, router_place

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# by the kind of a router, where its last layer is
LAST = {"linear": "", "two-layer": "2.", "normalised": "3."}
NORM_EPS = 1e-5  # as in D-LLM
RUN_BIAS = (0.1, 2.0)  # what the logits of skipping and running begin with, as in D-LLM
# What an evicted key weighs in place of 0 where gradients pass: its logarithm is added to scores.
# It is nothing beside keys that are there, even of one that scores 20 nats more; float32 has room
# for the gradients of one that scores as much less; and bf16 holds the logarithm.
EVICTED = math.exp(-46)
ROUTES = "routes"  # the argument of a forward pass that says how blocks are passed

# (what runs is multiplied by it, whether it runs), both (rows, tokens)
Gates = tuple[Tensor, Tensor]
# a block's number, the router's name, margins (rows, tokens) in float32, whether a token must run
Decide = Callable[[int, str, Tensor, Tensor | None], Gates]


def new_router(routing: Routing, hidden: int) -> nn.Module:
    """A router for hidden states (..., hidden); its parameters have no values yet."""
    outputs = 2 if routing.rule == "argmax" else 1
    with torch.device("meta"):
        if routing.router == "linear":
            return nn.Linear(hidden, outputs)
        if routing.router == "two-layer":
            width = routing.width or hidden // 4
            return nn.Sequential(nn.Linear(hidden, width), nn.ReLU(), nn.Linear(width, outputs))
        width = routing.width
        norm = nn.RMSNorm(width, eps=NORM_EPS)
        last = nn.Linear(width, outputs)
        return nn.Sequential(nn.Linear(hidden, width), norm, nn.SiLU(), last)


def router_shapes(routing: Routing, hidden: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the routers' tensors by name, float32, of a model with hidden states so wide."""
    router = new_router(routing, hidden)
    shapes = {name: tuple(tensor.shape) for name, tensor in router.state_dict().items()}
    return {
        f"{router_place(block, router_name)}.{name}": shape
        for block in routing.blocks
        for router_name in routing.names
        for name, shape in shapes.items()
    }


def first_values(
    routing: Routing, name: str, shape: tuple[int, ...], generator: torch.Generator
) -> Tensor:
    """What a router's tensor begins as: weights uniform within 1/√inputs, scales 1, biases 0.

    The last layer's are such that all tokens run, whatever enters: its weights are 0, as states may
    be of any size, and its bias says run. Where the largest of a row run, its weights are as any
    others: of equal ones the first tokens would run.
    """
    is_last = name.endswith((f".{LAST[routing.router]}weight", f".{LAST[routing.router]}bias"))
    if len(shape) > 1:
        if is_last and routing.rule != "top-k":
            return torch.zeros(shape)
        return (2 * torch.rand(shape, generator=generator) - 1) / math.sqrt(shape[1])
    if name.endswith(".weight"):
        return torch.ones(shape)
    if not is_last:
        return torch.zeros(shape)
    return torch.tensor(RUN_BIAS) if routing.rule == "argmax" else torch.ones(shape)


class Routed(nn.Module):
    """The routers of a block, by name; none where all tokens run. It is the block's `router`."""

    def __init__(self, routing: Routing, number: int, hidden: int) -> None:
        super().__init__()
        self.routing, self.number = routing, number
        for name in routing.names if number in routing.blocks else ():
            self.add_module(name, new_router(routing, hidden))

    def margins(self, name: str, hidden: Tensor) -> Tensor | None:
        """By how much tokens run, (rows, tokens), for hidden states (rows, tokens, hidden); None
        without such a router.
        """
        if not hasattr(self, name):
            return None
        found = getattr(self, name)(hidden.float())
        return found[..., 1] - found[..., 0] if found.shape[-1] == 2 else found[..., 0]

    def reserved(self, position_ids: Tensor | None) -> Tensor | None:
        """Which tokens must run, (rows or 1, tokens)."""
        if not self.routing.reserved or position_ids is None:
            return None
        return position_ids < self.routing.reserved

    def shift(self, name: str, by: float) -> None:
        """Add a number to the margins of one of its routers."""
        router = getattr(self, name)
        last = router if isinstance(router, nn.Linear) else router[-1]
        with torch.no_grad():
            last.bias[-1] += by


def by_margin(routing: Routing, margins: Tensor, must_run: Tensor | None) -> Gates:
    """The gates of a model that is used: tokens run where their margin is 0 or more, or, of a row,
    where it is among the largest.
    """
    if routing.rule == "top-k":
        run = among_largest(margins, routing.capacity, routing.is_strict)
    else:
        run = margins >= 0
    if must_run is not None:
        run = run | must_run
    gates = margins if routing.is_weighted else torch.ones_like(margins)
    return torch.where(run, gates, 0.0), run


def among_largest(margins: Tensor, capacity: float, is_strict: bool) -> Tensor:
    """Which of a row's tokens have the `capacity` · tokens largest margins, one at least; ties go
    to the first. With `is_strict` the least of several does not count, as in the second paper.
    """
    tokens = margins.shape[-1]
    count = max(1, math.floor(capacity * tokens + 1e-9))
    count -= is_strict and count > 1
    order = margins.sort(dim=-1, descending=True, stable=True).indices
    return torch.zeros_like(margins, dtype=torch.bool).scatter_(-1, order[..., :count], True)


class FullPass:
    """Passes blocks with all tokens at once; `run` says afterwards what ran.

    `run` holds, by block and sublayer, whether a token ran, (rows, tokens); sublayers without a
    router are left out. `decide` makes gates of margins; where these have gradients, keys that are
    evicted have them as well.
    """

    def __init__(self, decide: Decide | None = None) -> None:
        self._decide = decide
        self.run: dict[int, dict[str, Tensor]] = {}

    def __call__(
        self,
        block: nn.Module,
        hidden: Tensor,
        *,
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        **options: Any,
    ) -> Tensor:
        router: Routed = block.router
        must_run = router.reserved(options.get("position_ids"))
        ran = self.run[router.number] = {}

        def gates(name: str, state: Tensor) -> Gates | None:
            margins = router.margins(name, state)
            if margins is None:
                return None
            found = self.gates(router, name, margins, must_run)
            ran.update(dict.fromkeys(PARTS if name == BLOCK else (name,), found[1]))
            return found

        of_block = gates(BLOCK, hidden)
        of_attention = of_block or gates("attention", hidden)
        if of_attention and router.routing.keys == "evicted":
            attention_mask = _without_evicted(
                attention_mask,
                of_attention,
                router.routing.is_weighted,
                hidden.dtype,
                past_key_values,
                router.number,
            )
        attended, _ = block.self_attn(
            hidden_states=block.input_layernorm(hidden),
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            **options,
        )
        if of_block:
            inside = hidden + attended
            computed = attended + block.mlp(block.post_attention_layernorm(inside))
            return hidden + _times(of_block, computed)
        behind = hidden + _times(of_attention, attended)
        read = hidden if router.routing.reads == "block" else behind
        of_mlp = gates("mlp", read)
        return behind + _times(of_mlp, block.mlp(block.post_attention_layernorm(behind)))

    def gates(self, router: Routed, name: str, margins: Tensor, must_run: Tensor | None) -> Gates:
        if self._decide:
            return self._decide(router.number, name, margins, must_run)
        return by_margin(router.routing, margins, must_run)


def _times(gates: Gates | None, computed: Tensor) -> Tensor:
    return computed if gates is None else computed * gates[0].unsqueeze(-1).to(computed.dtype)


def _without_evicted(
    mask: Tensor | None,
    gates: Gates,
    is_weighted: bool,
    dtype: torch.dtype,
    cache: Any,
    block: int,
) -> Tensor:
    """The mask of attention with keys that are not there, (rows, 1, tokens, keys).

    bool; or what is added to scores, where gates of 0 and 1 have gradients: keys weigh, and
    gradients pass, as in a product of probabilities and gates, normalised again. `mask` is one of
    transformers': True or 0 where a key is seen, None for a causal one. A `cache` of theirs is told
    what is there.
    """
    gate, run = gates
    is_soft = gate.requires_grad and not is_weighted
    tokens = run.shape[1]
    if cache is not None:
        if not hasattr(cache, "present"):
            cache.present = {}
        before = cache.present.get(block, run[:, :0])
        run = cache.present[block] = torch.cat([before, run], dim=1)
    if mask is not None:
        run = run[:, -mask.shape[-1] :]  # a sliding window forgets the first ones
    keys = run.shape[1]
    queries = torch.arange(keys - tokens, keys, device=run.device)[:, None]
    others = torch.arange(keys, device=run.device) != queries
    if mask is None:
        seen = (torch.arange(keys, device=run.device) <= queries)[None, None]
    else:
        seen = mask if mask.dtype == torch.bool else mask == 0
    if is_soft:
        bias = torch.where(others, (gate + EVICTED).log()[:, None, None], 0.0)
        return torch.where(seen, bias, torch.finfo(dtype).min).to(dtype)
    return seen & (run[:, None, None] | ~others)


def _forward(block: nn.Module, hidden_states: Tensor, **options: Any) -> Tensor:
    routes = options.pop(ROUTES, None) or FullPass()
    return routes(block, hidden_states, **options)


def route_model(model: "PreTrainedModel", routing: Routing, tensors: Mapping[str, Tensor]) -> None:
    """Give a loaded model routers, in place; `tensors` holds them as `router_shapes` names them.

    From then on its forward pass may be given `routes`, which passes each of its blocks.
    """
    hidden = model.get_input_embeddings().weight.shape[1]
    for number, block in enumerate(model.get_submodule(BLOCKS)):
        route_block(block, number, routing, hidden, tensors)
    model.routing = routing


def route_block(
    block: nn.Module, number: int, routing: Routing, hidden: int, tensors: Mapping[str, Tensor]
) -> None:
    """Give one stock block its routers, in place."""
    device = next(block.parameters()).device
    block.router = Routed(routing, number, hidden)
    block.forward = partial(_forward, block)
    for name in routing.names if number in routing.blocks else ():
        router, prefix = getattr(block.router, name), f"{router_place(number, name)}."
        found = {
            tensor: tensors[prefix + tensor].to(device, torch.float32)
            for tensor in router.state_dict()
        }
        router.load_state_dict(found, assign=True)
    block.router.requires_grad_(False)


def routers_of(model: nn.Module) -> list[Routed]:
    """The routers of a model, block by block; none where it has none."""
    blocks = model.get_submodule(BLOCKS)
    return [block.router for block in blocks] if hasattr(model, "routing") else []
