"""How routers decide while they are trained, held against the formulas in float64."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import PreTrainedModel

from tests.artefacts.mask_references import run as prune
from tests.models.drawn_routers import draw_routers
from tests.models.tiny_models import load_model, token_ids
from tests.recovery.recovering import LORA
from workflow_scripts.artefacts.masks import read_pruned
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned
from workflow_scripts.config.recoveries import Lora, Routers
from workflow_scripts.models.checkpoints import open_checkpoint
from workflow_scripts.models.routed import FullPass, routers_of
from workflow_scripts.models.routing import Routing
from workflow_scripts.recovery.routers import (
    Routes,
    TrainedRoutes,
    annealed,
    distance,
    logistic,
    temperature_of,
    weight_of,
)

STEPS, LENGTH, BLOCKS = 5, 20, 3
LENGTHS = torch.tensor([9, 4, 13])
PLACES = [7, 0, 31]
ROUTING = Routing(rule="argmax", unit="sublayer", blocks=(0, 2), keys="kept", asked=0.4)
TOP_K = {"method": "mod", "skip": 0.3, "decode_densely": True}


def wanted(**routers: Any) -> Lora:
    keys = LORA | {"steps": STEPS, "length": LENGTH, "validation": 1, "evaluate_every": 1}
    return Lora.model_validate_json(json.dumps(keys | {"routers": routers}))


def routes(routing: Routing = ROUTING, done: int = 2, **routers: Any) -> TrainedRoutes:
    return TrainedRoutes(routing, LENGTHS, PLACES, wanted(**routers), done)


def margins_of(rows: int = 3, tokens: int = 13, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(rows, tokens, generator=generator)).requires_grad_()


@pytest.fixture
def routed(tmp_path: Path, tiny_model: Callable[..., Path]) -> Callable[..., PreTrainedModel]:
    def opened(options: dict, blocks: int = BLOCKS) -> PreTrainedModel:
        folder = tiny_model("llama", blocks=blocks)
        (place := tmp_path / f"{options['method']}-{options.get('form')}").mkdir()
        model = load_model(folder)
        apply_pruned(model, read_pruned(prune(place, folder, options)), open_checkpoint(folder))
        draw_routers(model)
        return model.requires_grad_(False)

    return opened


@pytest.mark.parametrize("done", [0, 2, 4])
def test_gates_are_gumbel_softmax_straight_through(done: int) -> None:
    """Of two logits, with the temperature of the step; the noise is that of either logit's."""
    keys = {"temperature": 5.0, "final_temperature": 1.0}
    margins = margins_of()
    gates, run = routes(done=done, **keys).decide(0, "mlp", margins, None)
    factors = torch.linspace(-1, 2, margins.numel()).view(margins.shape)
    (gates * factors).sum().backward()
    noise = noise_of("mlp", margins.shape[1])
    temperature = 5 - 4 * done / (STEPS - 1)
    exact = margins.detach().double().requires_grad_()
    logits = torch.stack([torch.zeros_like(exact), exact], dim=-1)
    soft = ((logits + torch.stack([torch.zeros_like(noise), noise], -1)) / temperature).softmax(-1)
    hard = soft.argmax(-1)
    (soft[..., 1] * factors.double()).sum().backward()
    assert torch.equal(gates.detach(), hard.float()) and torch.equal(run, hard == 1)
    torch.testing.assert_close(margins.grad.double(), exact.grad, rtol=1e-5, atol=1e-7)


def noise_of(name: str, tokens: int, places: list[int] = PLACES) -> Tensor:
    """What routes add to margins, from how they decide for margins on a fine grid."""
    low = torch.full((len(places), tokens), -40.0, dtype=torch.float64)
    high = -low
    one = TrainedRoutes(ROUTING, torch.full((len(places),), tokens), places, wanted(), 2)
    for _ in range(60):
        middle = (low + high) / 2
        runs = one.decide(0, name, middle, None)[1]
        low, high = torch.where(runs, low, middle), torch.where(runs, middle, high)
    return -high


def test_noise_is_logistic() -> None:
    drawn = logistic(3, 100_000, torch.device("cpu"))
    for at in (-3.0, -1.0, 0.0, 2.0):
        chance = 1 / (1 + math.exp(at))  # that noise is above
        far = 4 * math.sqrt(chance * (1 - chance) / len(drawn))
        assert (drawn > at).double().mean().item() == pytest.approx(chance, abs=far)


def test_noise_is_that_of_a_row_s_place_and_a_router() -> None:
    whole = noise_of("mlp", 13)
    for row, place in enumerate(PLACES):
        alone = noise_of("mlp", 6, [place])
        torch.testing.assert_close(alone[0], whole[row, :6], rtol=0, atol=0)
    for other in (noise_of("attention", 13), noise_of("mlp", 13, [8, 1, 32])):
        assert (other != whole).double().mean() > 0.9


def test_a_threshold_has_no_noise_and_sigmoid_gradients() -> None:
    routing = ROUTING.model_copy(update={"rule": "threshold"})
    margins = margins_of()
    gates, run = routes(routing, temperature=3.0).decide(0, "mlp", margins, None)
    assert torch.equal(run, margins >= 0) and torch.equal(gates > 0, run)
    gates.sum().backward()
    exact = margins.detach().double()
    slope = torch.sigmoid(exact) * (1 - torch.sigmoid(exact))
    torch.testing.assert_close(margins.grad.double(), slope, rtol=1e-5, atol=1e-7)


def test_tokens_that_must_run_do_and_teach_nothing() -> None:
    margins = margins_of()
    must_run = torch.arange(margins.shape[1])[None] < 2
    gates, run = routes().decide(0, "mlp", margins, must_run)
    gates.sum().backward()
    assert (gates[:, :2] == 1).all() and run[:, :2].all() and not margins.grad[:, :2].any()
    assert margins.grad[:, 2:].all()


@pytest.mark.parametrize("is_strict", [False, True])
def test_the_largest_of_each_row_run_with_the_margin_as_weight(is_strict: bool) -> None:
    """Of each row's own tokens, more of them in earlier steps."""
    routing = ROUTING.model_copy(
        update={"rule": "top-k", "capacity": 0.25, "is_weighted": True, "is_strict": is_strict}
    )
    for done in (0, 1, 4):
        margins = margins_of(seed=done)
        gates, run = routes(routing, done).decide(0, "mlp", margins, None)
        gates.sum().backward()
        for row, length in enumerate(LENGTHS.tolist()):
            count = max(1, int((0.25 + 0.75 / (done + 1)) * length + 1e-9))
            count -= is_strict and count > 1
            own = margins[row, :length].detach()
            expected = torch.zeros_like(margins[row])
            for token in sorted(range(length), key=lambda t: -own[t].item())[:count]:
                expected[token] = 1
            assert torch.equal(run[row].float(), expected)
            assert torch.equal(gates[row], expected * margins[row])
            assert torch.equal(margins.grad[row], expected)


def test_schedules() -> None:
    falls = Routers(temperature=5.0, final_temperature=1.0, weight=8.0)
    assert [temperature_of(falls, done, STEPS) for done in range(STEPS)] == [5, 4, 3, 2, 1]
    assert temperature_of(Routers(temperature=2.0), 3, STEPS) == 2
    rises = Routers(weight=5.0, ramp="sine")
    found = [weight_of(rises, done, STEPS) for done in range(STEPS)]
    half = math.sqrt(0.5)
    assert found == pytest.approx(
        [0, 5 * math.sin(math.pi / 8), 5 * half, 5 * math.sin(3 * math.pi / 8), 5]
    )
    assert {weight_of(falls, done, STEPS) for done in range(STEPS)} == {8}
    assert weight_of(rises, 0, 1) == 0 and temperature_of(falls, 0, 1) == 5
    assert [annealed(0.125, step) for step in (1, 2, 7)] == [1, 0.5625, 0.25]


@pytest.mark.parametrize("budget", ["batch", "token", "excess"])
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.3, 0.6, 1.0]), st.sampled_from([0, 2]))
def test_distances_are_those_of_the_formulas(
    budget: str, seed: int, asked: float, reserved: int
) -> None:
    """Token by token, sublayer by sublayer: a router for one, and one for a block."""
    routing = ROUTING.model_copy(update={"asked": asked, "reserved": reserved})
    generator = torch.Generator().manual_seed(seed)
    for unit, names in (("sublayer", ("attention", "mlp")), ("block", ("block",))):
        routing = routing.model_copy(update={"unit": unit})
        gates = {
            (number, name): (torch.rand(3, 13, generator=generator) < 0.6).float()
            for number in routing.blocks
            for name in names
        }
        for gate in gates.values():
            gate[:, :reserved] = 1
        shares = []
        for row, length in enumerate(LENGTHS.tolist()):
            for token in range(length):
                if budget == "token" and token < reserved:
                    continue
                ran = 0.0
                for block in range(BLOCKS):
                    for part in ("attention", "mlp"):
                        gate = gates.get((block, part), gates.get((block, "block")))
                        ran += 1 if gate is None else gate[row, token].item()
                shares.append(ran / (2 * BLOCKS))
        mean = math.fsum(shares) / len(shares) - (1 - asked)
        expected = {
            "batch": abs(mean),
            "excess": max(0.0, mean),
            "token": math.fsum(abs(s - (1 - asked)) for s in shares) / len(shares),
        }[budget]
        found = distance(gates, routing, Routers(budget=budget), BLOCKS, LENGTHS)
        assert found.item() == pytest.approx(expected, abs=1e-6)


def test_the_distance_s_gradients_are_those_of_the_formula_with_blocks_run_again(
    routed: Callable[..., PreTrainedModel],
) -> None:
    """Of one block, whose routers read embeddings: d/dw of weight · |mean r - r'|, by hand."""
    model = routed({"method": "skipgpt", "skip": 0.3}, blocks=1)
    ids = token_ids(3, 13, seed=1).long()
    (router,) = routers_of(model)
    router.requires_grad_(True)
    one = TrainedRoutes(model.routing, LENGTHS, PLACES, wanted(weight=8.0, temperature=2.0), 2)
    model.train().gradient_checkpointing_enable({"use_reentrant": False})
    model(ids, use_cache=False, routes=one.full)
    one.added(blocks=1).backward()
    x = model.get_input_embeddings().weight[ids].double()
    own = torch.arange(13) < LENGTHS[:, None]
    runs, slopes = 0.0, {}
    for name in ("attention", "mlp"):
        linear = getattr(router, name)
        logits = x @ linear.weight.double().T + linear.bias.double()
        z = (logits[..., 1] - logits[..., 0]).detach() + noise_of(name, 13)
        s = torch.sigmoid(z / 2)
        slopes[name] = s * (1 - s) / 2
        runs += (z >= 0)[own].double().sum()
    sign = math.copysign(1, (runs / (2 * own.sum()) - 0.7).item())
    for name, slope in slopes.items():
        of_run = sign * 8 * ((slope * own)[..., None] * x).sum((0, 1)) / (2 * own.sum())
        expected = torch.stack([-of_run, of_run])
        found = getattr(router, name).weight.grad.double()
        assert expected.abs().max() > 1e-3
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


METHODS = {
    "skipgpt": {"method": "skipgpt", "skip": 0.3},
    "d-llm": {"method": "d-llm", "skip": 0.2, "width": 8},
    "mod": {"method": "mod", "skip": 0.3, "parts": "both"},
    "expert-choice": TOP_K | {"form": "expert-choice"},
    "mod-lrm": TOP_K | {"form": "lrm"},
}


@pytest.mark.parametrize("budget", ["batch", "token"])
@pytest.mark.parametrize("name", METHODS)
def test_blocks_that_run_again_have_the_gradients_of_blocks_that_do_not(
    routed: Callable[..., PreTrainedModel], name: str, budget: str
) -> None:
    model = routed(METHODS[name]).train()
    for router in routers_of(model):
        router.requires_grad_(True)
    ids, found = token_ids(3, 13, seed=1).long(), []
    for again in (False, True):
        if again:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        one = TrainedRoutes(model.routing, LENGTHS, PLACES, wanted(weight=5.0, budget=budget), 2)
        logits = model(ids, use_cache=False, routes=one.full).logits
        skipped = one.skipped()
        (logits.logsumexp(-1).mean() + one.added(BLOCKS)).backward()
        found.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
        model.zero_grad()
        assert skipped.tokens == LENGTHS.sum()
    once, twice = found
    assert once.keys() == twice.keys() and any("attention" in n or "block" in n for n in once)
    for parameter, gradient in once.items():
        torch.testing.assert_close(twice[parameter], gradient, rtol=1e-5, atol=1e-7)
    assert any(gradient.abs().max() > 1e-4 for gradient in once.values())


@pytest.mark.parametrize("name", METHODS)
def test_what_stands_behind_a_row_changes_nothing(
    routed: Callable[..., PreTrainedModel], name: str
) -> None:
    """As it is used: rows side by side are each row alone, and skip what it does."""
    model, ids = routed(METHODS[name]), token_ids(3, 13, seed=1).long()
    together = Routes(model.routing, LENGTHS)
    logits = model(ids, use_cache=False, routes=together.full).logits
    pairs = 0
    for row, length in enumerate(LENGTHS.tolist()):
        alone = FullPass()
        expected = model(ids[row : row + 1, :length], use_cache=False, routes=alone).logits
        torch.testing.assert_close(logits[row, :length], expected[0], rtol=1e-4, atol=1e-5)
        pairs += sum(int((~run).sum()) for parts in alone.run.values() for run in parts.values())
    skipped = together.skipped()
    assert sum(skipped.pairs.values()) == pairs
    assert skipped.share(BLOCKS) == pytest.approx(pairs / (2 * BLOCKS * LENGTHS.sum().item()))


def test_evicted_keys_of_weighted_tokens_are_gone_with_gradients_as_without(
    routed: Callable[..., PreTrainedModel],
) -> None:
    """Their gates are weights, by which a key is neither there nor half there."""
    model, ids = routed(METHODS["expert-choice"]), token_ids(3, 13, seed=1).long()
    expected = model(ids, use_cache=False).logits
    for router in routers_of(model):
        router.requires_grad_(True)
    found = model(ids, use_cache=False).logits
    assert found.requires_grad
    torch.testing.assert_close(found.detach(), expected, rtol=1e-5, atol=1e-6)
