"""How routers decide while they are trained, and what the loss gains so that tokens skip enough.

With m a token's margin at a router, by which it runs where it is 0 or more, it runs while training

    argmax       where m + n ≥ 0, n = ln u - ln(1 - u), u uniform in (0, 1)
    threshold    where m ≥ 0
    top-k        where m is among the largest of its row, of which there are the capacity
                 C + (1 - C) / step times the row's tokens; what runs is multiplied by m

Gradients pass as if the token ran σ((m + n) / temperature), or σ(m), in place of 0 or 1 (straight
through). The first is the Gumbel-softmax of two logits: the difference of two Gumbel variables is
logistic. u follows from the seed, the router and the row's place in training, and from no more.

With r the share of sublayers that a token runs, r' = 1 - asked and means over tokens, the loss of a
step gains the weight times

    batch    |mean r - r'|        token    mean |r - r'|        excess    max(0, mean r - r')

in which sublayers without a router run, and so do reserved tokens, which `token` leaves out. Tokens
behind the end of a row are nowhere counted. Top-k runs what its capacity says, and gains nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from workflow_scripts.config.recoveries import Recovery, Routers
from workflow_scripts.files.digests import value_digest
from workflow_scripts.models.routed import FullPass, Gates, by_margin
from workflow_scripts.models.routing import BLOCK, PARTS, Routing, router_place

NEVER = 1e-9  # how far u stays from 0 and 1, where its logarithms end


@dataclass
class Skipped:
    """Pairs of a token and a sublayer that were skipped, by sublayer, of so many tokens."""

    pairs: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))
    tokens: int = 0

    def add(self, other: "Skipped") -> None:
        for part, count in other.pairs.items():
            self.pairs[part] += count
        self.tokens += other.tokens

    def by_part(self, blocks: int) -> dict[str, float]:
        """Of each kind of sublayer, the share over all blocks."""
        return {part: count / (blocks * self.tokens) for part, count in self.pairs.items()}

    def share(self, blocks: int) -> float:
        """Of all pairs of a token and a sublayer of a model with so many blocks."""
        return sum(self.pairs.values()) / (blocks * len(PARTS) * self.tokens)


class Routes:
    """Passes the blocks for rows of `lengths` (rows,), and says afterwards what these skipped.

    Tokens run as when the model is used; what stands behind a row has no say in it.
    """

    def __init__(self, routing: Routing, lengths: Tensor) -> None:
        self.routing, self.lengths = routing, lengths
        self.full = FullPass(self.decide)

    def decide(self, number: int, name: str, margins: Tensor, must_run: Tensor | None) -> Gates:
        """The gates of a router: see `models.routed`."""
        return gates_of_rows(self.routing, margins, must_run, self.lengths)

    def skipped(self) -> Skipped:
        """What the rows skipped; to be asked before gradients are computed."""
        found = Skipped(tokens=int(self.lengths.sum()))
        for parts in self.full.run.values():
            for part, run in parts.items():
                found.pairs[part] += int((own_tokens(self.lengths, run.shape[1]) & ~run).sum())
        return found


class TrainedRoutes(Routes):
    """Passes the blocks in training, `done` steps after its beginning; see above.

    `places` are those of the rows in training. What is decided again when activations are computed
    again is the same.
    """

    def __init__(
        self, routing: Routing, lengths: Tensor, places: list[int], wanted: Recovery, done: int
    ) -> None:
        super().__init__(routing, lengths)
        self._places, self._wanted, self._done = places, wanted, done
        self._routers: Routers = wanted.trained_routers
        self.gates: dict[tuple[int, str], Tensor] = {}

    def decide(self, number: int, name: str, margins: Tensor, must_run: Tensor | None) -> Gates:
        if self.routing.rule == "top-k":
            capacity = annealed(self.routing.capacity, self._done + 1)
            routing = self.routing.model_copy(update={"capacity": capacity})
            return gates_of_rows(routing, margins, must_run, self.lengths)
        if self.routing.rule == "argmax":
            noise = self._noise(router_place(number, name), margins)
            temperature = temperature_of(self._routers, self._done, self._wanted.steps)
            found = straight_through(margins + noise, temperature, must_run)
        else:
            found = straight_through(margins, 1.0, must_run)
        self.gates[number, name] = found[0]
        return found

    def _noise(self, router: str, margins: Tensor) -> Tensor:
        """Logistic noise (rows, tokens), of which each row's is its own."""
        seed = int(value_digest([self._wanted.seed, router])[:12], 16)
        rows = [
            logistic(seed + place, self._wanted.length, margins.device) for place in self._places
        ]
        return torch.stack(rows)[:, : margins.shape[1]].to(margins.dtype)

    def counted(self) -> Tensor:
        """How many tokens of these rows the distance is of."""
        return counted_tokens(self.lengths, self.routing, self._routers).sum()

    def added(self, blocks: int) -> Tensor:
        """What the loss gains by these rows alone, of a model with so many blocks: with gradients,
        and to be asked before any are computed.
        """
        if not self.gates:
            return self.lengths.new_zeros((), dtype=torch.float32)
        weight = weight_of(self._routers, self._done, self._wanted.steps)
        return weight * distance(self.gates, self.routing, self._routers, blocks, self.lengths)


def gates_of_rows(
    routing: Routing, margins: Tensor, must_run: Tensor | None, lengths: Tensor
) -> Gates:
    """The gates of a model that is used, for rows of these lengths with anything behind them."""
    if routing.rule != "top-k":
        return by_margin(routing, margins, must_run)
    gates, run = torch.zeros_like(margins), torch.zeros_like(margins, dtype=torch.bool)
    for row, length in enumerate(lengths.tolist()):
        of_row = by_margin(routing, margins[row : row + 1, :length], must_run)
        gates[row, :length], run[row, :length] = (part[0] for part in of_row)
    return gates, run


def straight_through(margins: Tensor, temperature: float, must_run: Tensor | None) -> Gates:
    """Gates 0 and 1 by the sign of margins, with the gradients of σ(margin / temperature)."""
    run, soft = margins >= 0, torch.sigmoid(margins / temperature)
    gates = run.to(soft.dtype) + (soft - soft.detach())
    if must_run is None:
        return gates, run
    return torch.where(must_run, 1.0, gates), run | must_run


def logistic(seed: int, count: int, device: torch.device) -> Tensor:
    """So many logistic variables, float64."""
    generator = torch.Generator(device).manual_seed(seed)
    uniform = torch.rand(count, dtype=torch.float64, generator=generator, device=device)
    return uniform.logit(NEVER)


def distance(
    gates: Mapping[tuple[int, str], Tensor],
    routing: Routing,
    wanted: Routers,
    blocks: int,
    lengths: Tensor,
) -> Tensor:
    """How far what runs is from the asked share, for gates (rows, tokens) by block and router."""
    sublayers, tokens = blocks * len(PARTS), next(iter(gates.values())).shape[1]
    of_router = {name: len(PARTS) if name == BLOCK else 1 for name in routing.names}
    always = sublayers - sum(of_router[name] for _, name in gates)
    ran = always + sum(of_router[name] * gate for (_, name), gate in gates.items())
    far = ran / sublayers - (1 - routing.asked)
    own = own_tokens(lengths, tokens)
    if wanted.budget == "token":
        own[:, : routing.reserved] = False
    count = counted_tokens(lengths, routing, wanted).sum().clamp_min(1)
    if wanted.budget == "token":
        return (far.abs() * own).sum() / count
    mean = (far * own).sum() / count
    return mean.abs() if wanted.budget == "batch" else mean.relu()


def counted_tokens(lengths: Tensor, routing: Routing, wanted: Routers) -> Tensor:
    """How many tokens of each row a distance is of, (rows,)."""
    left_out = routing.reserved if wanted.budget == "token" else 0
    return (lengths - left_out).clamp_min(0)


def own_tokens(lengths: Tensor, tokens: int) -> Tensor:
    """Which of so many places of each row it has itself, (rows, tokens)."""
    return torch.arange(tokens, device=lengths.device) < lengths[:, None]


def temperature_of(wanted: Routers, done: int, steps: int) -> float:
    """The temperature of the step after so many."""
    last = wanted.temperature if wanted.final_temperature is None else wanted.final_temperature
    return wanted.temperature + (last - wanted.temperature) * _way(done, steps)


def weight_of(wanted: Routers, done: int, steps: int) -> float:
    """How many times the step after so many adds the distance."""
    rise = 1.0 if wanted.ramp == "constant" else math.sin(math.pi / 2 * _way(done, steps))
    return wanted.weight * rise


def annealed(capacity: float, step: int) -> float:
    """The capacity of a step, from 1: all tokens run in the first."""
    return capacity + (1 - capacity) / step


def _way(done: int, steps: int) -> float:
    """How far training is at the step after so many: 0 at the first, 1 at the last."""
    return done / max(1, steps - 1)
