"""Decoding with a model whose tokens skip sublayers, held against full passes."""

import json
from collections import deque
from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.engines.test_transformers_engine import (
    GREEDY,
    SAMPLED,
    VOCABULARY,
    decoded_without_cache,
    requests,
    run,
    tiny_model,
)
from tests.models.drawn_routers import drawn_routers
from tests.models.test_routed import METHODS, TOP_K
from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.methods import Variant
from workflow_scripts.engines.skipping import Chosen, row_counts
from workflow_scripts.engines.transformers_engine import TransformersEngine
from workflow_scripts.models.routed import FullPass, Routed, route_model
from workflow_scripts.models.routing import PARTS

BLOCKS = 4


def routed_model(
    name: str, kind: str = "qwen3", seed: int = 0, hidden: int = 32, **config: int
) -> torch.nn.Module:
    """A random model in which about half of all tokens skip."""
    model = tiny_model(kind, num_hidden_layers=BLOCKS, hidden_size=hidden, **config)
    options = parser_of(Variant)(json.dumps((METHODS | TOP_K)[name]))
    routing = options.routing(BLOCKS)
    route_model(model, routing, drawn_routers(routing, hidden, seed))
    ids = torch.randint(3, 60, (2, 50), generator=torch.Generator().manual_seed(seed))

    def note(number: int, name: str, margins: torch.Tensor, must_run: object) -> tuple:
        model.model.layers[number].router.shift(name, 1e-3 - margins.median().item())
        return torch.ones_like(margins), torch.ones_like(margins, dtype=torch.bool)

    with torch.no_grad():
        model(ids, use_cache=False, routes=FullPass(note))
    return model


@pytest.mark.parametrize("sampling", [SAMPLED, GREEDY], ids=["sampled", "greedy"])
@pytest.mark.parametrize("name", METHODS)
def test_equals_full_passes_and_says_what_ran(name, sampling):
    model = routed_model(name)
    shares = []
    for request, completion in run(model, requests(12, sampling)).items():
        tokens, stopped_by = decoded_without_cache(model, request)
        assert (completion.tokens, completion.stopped_by) == (tokens, stopped_by)
        whole = FullPass()
        ids = torch.tensor([[*request.prompt, *tokens]])
        with torch.no_grad():
            model(ids, use_cache=False, routes=whole)
        everything = torch.ones(ids.shape, dtype=torch.bool)
        ran = [whole.run[b].get(part, everything) for b in range(BLOCKS) for part in PARTS]
        expected = torch.cat(ran)[:, len(request.prompt) :].T.numpy()
        put_in = len(tokens) - (stopped_by is None)
        if not put_in:
            assert completion.routes is None
            continue
        assert np.array_equal(completion.routes, expected[:put_in])
        shares.append(completion.routes.mean())
    assert 0.2 < np.mean(shares) < 0.9


@pytest.mark.parametrize("name", ["skipgpt", "d-llm", "mod"])
@pytest.mark.parametrize("kind", ["qwen3", "llama"])
def test_a_result_does_not_depend_on_neighbours_order_or_batch_size(name, kind):
    model = routed_model(name, kind)
    asked = requests(20, SAMPLED)
    together = run(model, asked)
    routes = {request: completion.routes for request, completion in together.items()}
    others = [run(model, asked[::-1])]
    others += [run(model, asked, slots=slots) for slots in (1, 2, 3, 7, 16, 33)]
    others += [run(model, asked, slots=16, threads=threads) for threads in (2, 3)]
    for found in others:
        assert found == together
        for request, completion in found.items():
            assert np.array_equal(completion.routes, routes[request])


@pytest.mark.parametrize("name", ["skipgpt", "d-llm", "mod"])
def test_what_is_skipped_is_not_computed(name):
    """Rows that enter attentions and MLPs while decoding: those that run, filled up to fours."""
    model, entered = routed_model(name), {part: [] for part in PARTS}

    def note(part: str) -> Callable[..., None]:
        def hook(module: torch.nn.Module, given: tuple, options: dict) -> None:
            hidden = given[0] if given else options["hidden_states"]
            if hidden.shape[1] == 1:
                entered[part].append(len(hidden))

        return hook

    engine = TransformersEngine(model, VOCABULARY, 16, 80)
    for block in model.model.layers:
        block.mlp.register_forward_pre_hook(note("mlp"), with_kwargs=True)
        block.self_attn.register_forward_pre_hook(note("attention"), with_kwargs=True)
    asked = [request for request in requests(60, SAMPLED) if len(request.prompt) > 1]
    completions = [found for _, found in engine.generate(deque(asked)) if found.routes is not None]
    routes = np.concatenate([completion.routes for completion in completions])
    for number, part in enumerate(PARTS):
        ran = routes[:, number::2].sum()
        assert ran < 0.8 * routes[:, number::2].size
        assert ran <= sum(entered[part]) <= ran + 3 * len(entered[part])


@pytest.mark.parametrize("name", TOP_K)
def test_as_expert_choice_what_is_decoded_runs_everything(name):
    model = routed_model(name)
    for completion in run(model, requests(8, SAMPLED)).values():
        assert completion.routes is None or completion.routes.all()


@pytest.mark.parametrize("rows", [4, 6, 16, 33])
def test_numbers_of_rows(rows: int) -> None:
    counts = [*row_counts(rows, 4)]
    assert counts[-1] == rows and counts == sorted(set(counts))
    for wanted in range(1, rows + 1):
        mask = torch.zeros(rows, dtype=torch.bool)
        mask[torch.randperm(rows, generator=torch.Generator().manual_seed(wanted))[:wanted]] = True
        chosen, states = Chosen(mask, counts), torch.arange(rows)
        taken = chosen.of(states)
        assert len(taken) in counts and len(taken) - wanted < 4
        assert torch.equal(chosen.wanted_of(taken), mask.nonzero()[:, 0])


def disturbed(module: torch.nn.Module, rows: int) -> None:
    """Have a module treat steps with so many rows differently, as a kernel may."""
    genuine = module.forward

    def forward(hidden: torch.Tensor) -> torch.Tensor:
        found = genuine(hidden)
        return found * (1 + 2**-10) if hidden.shape[:2] == (rows, 1) else found

    module.forward = forward


def test_numbers_of_rows_that_round_otherwise_are_not_used() -> None:
    model = routed_model("skipgpt")
    for block in model.model.layers:
        disturbed(block.mlp, 8)
    engine = TransformersEngine(model, VOCABULARY, 16, 80)
    assert engine.passes.sizes == [4, 12, 16]


@pytest.mark.parametrize("block", range(BLOCKS))
@pytest.mark.parametrize("place", ["mlp", "router.attention", "router.mlp", "self_attn.k_proj"])
def test_a_batch_in_which_one_block_rounds_otherwise_is_not_used(
    place: str, block: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the tokens of the check skip by themselves, and though logits are the same."""
    model = routed_model("skipgpt")
    disturbed(model.model.layers[block].get_submodule(place), 16)
    engine = TransformersEngine(model, VOCABULARY, 16, 80)
    assert engine.passes.sizes == [4, 8] and "decodes 8 requests at a time" in caplog.text


def margins_while_decoding(
    model: torch.nn.Module, asked: list, slots: int, monkeypatch: pytest.MonkeyPatch
) -> dict[tuple, float]:
    """Of every router, by the request's seed, the token's place, the block and the router."""
    found, keys = {}, []
    engine = TransformersEngine(model, VOCABULARY, slots, 80)
    decode, margins = TransformersEngine._decode, Routed.margins

    def noted(engine: TransformersEngine, cache: object, slots: list) -> np.ndarray:
        keys[:] = [slot and slot.tokens and (slot.request.seed, slot.position) for slot in slots]
        logits = decode(engine, cache, slots)
        keys.clear()
        return logits

    def note(router: Routed, name: str, hidden: torch.Tensor) -> torch.Tensor | None:
        of_rows = margins(router, name, hidden)
        if of_rows is not None:
            rows = zip(keys, of_rows[:, 0].tolist(), strict=False)
            found.update({(*key, router.number, name): value for key, value in rows if key})
        return of_rows

    with monkeypatch.context() as patched:
        patched.setattr(TransformersEngine, "_decode", noted)
        patched.setattr(Routed, "margins", note)
        list(engine.generate(deque(asked)))
    return found


@pytest.mark.parametrize("name", ["mod", "skipgpt"])
def test_margins_do_not_depend_on_the_batch_size_to_the_last_bit(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a model so wide that kernels sum the rows behind the last four in another way."""
    sizes = {"hidden": 256, "intermediate_size": 512, "num_key_value_heads": 4}
    model, asked = routed_model(name, "llama", **sizes), requests(22, SAMPLED)
    few, many = (margins_while_decoding(model, asked, slots, monkeypatch) for slots in (4, 11))
    differ = sum(many.get(key) != value for key, value in few.items())
    assert len(many) == len(few) > 1000 and not differ
