"""Dynamic variants held against the dense model, a truncated one, and themselves token by token."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from tests.artefacts.mask_references import run
from tests.models.drawn_routers import draw_routers
from tests.models.tiny_models import ARCHITECTURES, load_model, token_ids
from workflow_scripts.artefacts.masks import Pruned, nothing_pruned, read_pruned
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned, export
from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.methods import Variant
from workflow_scripts.errors import InputError
from workflow_scripts.models.checkpoints import model_digest, open_checkpoint
from workflow_scripts.models.routed import (
    FullPass,
    Routed,
    _without_evicted,
    among_largest,
    first_values,
    routers_of,
)
from workflow_scripts.models.routing import PARTS, router_place

BLOCKS = 4
ASKED = token_ids(3, 13, seed=1).long()
METHODS = {
    "skipgpt": {"method": "skipgpt", "skip": 0.3},
    "skipgpt-two-layer": {"method": "skipgpt", "skip": 0.3, "form": "two-layer"},
    "d-llm": {"method": "d-llm", "skip": 0.3, "width": 16},
    "d-llm-lrm": {"method": "d-llm", "skip": 0.3, "form": "lrm"},
    "mod": {"method": "mod", "skip": 0.3, "parts": "both"},
    "mod-alternate": {"method": "mod", "skip": 0.2, "blocks": "alternate"},
}
TOP_K = {
    "expert-choice": {"method": "mod", "skip": 0.3, "form": "expert-choice"},
    "lrm": {"method": "mod", "skip": 0.3, "form": "lrm"},
}
TOP_K = {name: method | {"decode_densely": True} for name, method in TOP_K.items()}


@pytest.fixture
def routed(tmp_path: Path, tiny_model: Callable[..., Path]) -> Callable[..., PreTrainedModel]:
    def opened(options: dict, architecture: str = "qwen3", seed: int = 0) -> PreTrainedModel:
        folder = tiny_model(architecture, blocks=BLOCKS)
        place = tmp_path / f"{architecture}-{seed}-{options['method']}-{options.get('form')}"
        place.mkdir(exist_ok=True)
        pruned = read_pruned(run(place, folder, options | {"seed": seed}), model_digest(folder))
        model = load_model(folder, torch.float64)
        apply_pruned(model, pruned, open_checkpoint(folder))
        draw_routers(model, seed)
        return model

    return opened


def logits_of(model: PreTrainedModel, ids: Tensor = ASKED, **options: object) -> Tensor:
    with torch.no_grad():
        return model(ids, use_cache=False, **options).logits


def set_margins(model: PreTrainedModel, run_from: int, run_to: int, weight: float = 1.0) -> None:
    """Have routers of these blocks say yes, and all others no."""
    for router in routers_of(model):
        runs = run_from <= router.number < run_to
        for name, parameter in router.named_parameters():
            last = name.endswith("bias") and parameter.numel() <= 2
            value = torch.zeros_like(parameter)
            if last:
                value[-1] = weight if runs else -1.0
            parameter.data = value


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", [*METHODS, *TOP_K])
def test_with_all_gates_open_it_is_the_dense_model(
    routed: Callable[..., PreTrainedModel],
    tiny_model: Callable[..., Path],
    name: str,
    architecture: str,
) -> None:
    model = routed((METHODS | TOP_K)[name], architecture)
    set_margins(model, 0, BLOCKS)
    if name in TOP_K:
        for router in routers_of(model):
            router.routing = router.routing.model_copy(update={"capacity": 1.0, "is_strict": False})
    dense = load_model(tiny_model(architecture, blocks=BLOCKS), torch.float64)
    torch.testing.assert_close(logits_of(model), logits_of(dense), rtol=0, atol=1e-12)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", ["skipgpt", "d-llm", "mod"])
def test_shut_from_a_block_on_it_is_the_truncated_model(
    routed: Callable[..., PreTrainedModel],
    tiny_model: Callable[..., Path],
    name: str,
    architecture: str,
) -> None:
    model, folder = routed(METHODS[name], architecture), tiny_model(architecture, blocks=BLOCKS)
    set_margins(model, 0, 2)
    for router in routers_of(model):  # d-llm's first tokens run everything
        router.routing = router.routing.model_copy(update={"reserved": 0})
    truncated = load_model(folder, torch.float64)
    removed = nothing_pruned(model_digest(folder), BLOCKS, [2, 3])
    apply_pruned(truncated, removed, open_checkpoint(folder))
    torch.testing.assert_close(logits_of(model), logits_of(truncated), rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", METHODS)
def test_token_by_token_it_is_one_full_pass(
    routed: Callable[..., PreTrainedModel], name: str, seed: int
) -> None:
    model = routed(METHODS[name], seed=seed)
    let_half_run(model)
    whole = FullPass()
    expected = logits_of(model, routes=whole)
    cache, found, ran = DynamicCache(config=model.config), [], []
    with torch.no_grad():
        for token in ASKED.T:
            step = FullPass()
            output = model(token[:, None], past_key_values=cache, use_cache=True, routes=step)
            found.append(output.logits)
            ran.append(step.run)
    torch.testing.assert_close(torch.cat(found, dim=1), expected, rtol=0, atol=1e-10)
    shares = []
    for block, parts in whole.run.items():
        for part, together in parts.items():
            one_by_one = torch.cat([step[block][part] for step in ran], dim=1)
            assert torch.equal(one_by_one, together)
            shares.append(together.double().mean().item())
    assert 0.1 < sum(shares) / len(shares) < 0.9  # some run and some do not


@pytest.mark.parametrize("name", TOP_K)
def test_the_largest_of_a_row_are_not_known_before_its_end(
    routed: Callable[..., PreTrainedModel], name: str
) -> None:
    model = routed(TOP_K[name])
    one_more = torch.cat([ASKED, token_ids(3, 7, seed=2).long()], dim=1)
    early = logits_of(model, one_more)[:, : ASKED.shape[1]]
    assert not torch.allclose(logits_of(model), early)


def shift(model: PreTrainedModel, by: float) -> None:
    for router in routers_of(model):
        for name, _ in router.named_children():
            router.shift(name, by)


def let_half_run(model: PreTrainedModel) -> None:
    """Put every router's median margin, in a pass where all run, just above 0."""

    def note(number: int, name: str, margins: Tensor, must_run: Tensor | None) -> tuple:
        routers_of(model)[number].shift(name, 1e-3 - margins.median().item())
        return torch.ones_like(margins), torch.ones_like(margins, dtype=torch.bool)

    logits_of(model, routes=FullPass(note))


def slow_pass(model: PreTrainedModel, gates: Callable[[int, str], Tensor], evicts: bool) -> Tensor:
    """A qwen3 by the formulas, in float64: gates (rows, tokens) by block and sublayer, 0 of what
    skips, and by what is multiplied of what runs.
    """
    config = model.config
    x = model.model.embed_tokens(ASKED)
    positions = torch.arange(ASKED.shape[1])[None]
    cos, sin = (part[:, None] for part in model.model.rotary_emb(x, positions))

    def turned(states: Tensor) -> Tensor:
        one, other = states.chunk(2, dim=-1)
        return states * cos + torch.cat([-other, one], dim=-1) * sin

    for number, block in enumerate(model.model.layers):
        attention, y = block.self_attn, block.input_layernorm(x)
        shape = (*y.shape[:2], -1, config.head_dim)
        q = turned(attention.q_norm(attention.q_proj(y).view(shape)).transpose(1, 2))
        k = turned(attention.k_norm(attention.k_proj(y).view(shape)).transpose(1, 2))
        v = attention.v_proj(y).view(shape).transpose(1, 2)
        groups = q.shape[1] // k.shape[1]
        k, v = (states.repeat_interleave(groups, dim=1) for states in (k, v))
        g = gates(number, "attention")
        scores = q @ k.transpose(2, 3) / math.sqrt(config.head_dim)
        there = torch.ones(len(g), g.shape[1], g.shape[1], dtype=torch.bool).tril()
        if evicts:
            there &= (g[:, None] != 0) | torch.eye(g.shape[1], dtype=torch.bool)
        weights = scores.masked_fill(~there[:, None], -math.inf).softmax(-1)
        added = attention.o_proj((weights @ v).transpose(1, 2).flatten(2))
        inside = x + g[..., None] * added
        g, whole = gates(number, "mlp"), x + added  # what one router for the block multiplies
        is_block = model.routing.unit == "block"
        of_mlp = block.mlp(block.post_attention_layernorm(whole if is_block else inside))
        x = inside + g[..., None] * of_mlp
    return model.lm_head(model.model.norm(x))


@pytest.mark.parametrize("name", [*METHODS, *TOP_K])
@torch.no_grad()
def test_it_computes_what_the_formulas_say(
    routed: Callable[..., PreTrainedModel], name: str
) -> None:
    model, of_routers = routed((METHODS | TOP_K)[name]), {}
    let_half_run(model)
    whole = FullPass()
    genuine = whole.gates

    def noted(router: Routed, router_name: str, *given: Tensor | None) -> tuple:
        of_routers[router.number, router_name] = given[0]
        return genuine(router, router_name, *given)

    whole.gates = noted
    found = logits_of(model, routes=whole)
    everything = torch.ones(ASKED.shape, dtype=torch.float64)

    def gates(block: int, part: str) -> Tensor:
        run = whole.run[block].get(part, everything).double()
        if name in METHODS or part not in whole.run[block]:
            return run
        return run * of_routers[block, "block" if name == "expert-choice" else part].double()

    expected = slow_pass(model, gates, evicts=model.routing.keys == "evicted")
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


# by method: blocks with routers, what these are for, the layers of each, and whether the one of the
# MLP reads what enters the block
ROUTERS = {
    "skipgpt": (range(4), PARTS, "linear", True),
    "skipgpt-two-layer": (range(4), PARTS, "two-layer", True),
    "d-llm": (range(2, 4), ("block",), "normalised", True),
    "d-llm-lrm": (range(4), ("block",), "linear", True),
    "mod": (range(4), PARTS, "linear", False),
    "mod-alternate": ((1, 3), ("attention",), "linear", True),
    "expert-choice": ((1, 3), ("block",), "linear", True),
    "lrm": ((1, 2), PARTS, "linear", True),
}


def margins_by_hand(values: list[Tensor], kind: str, x: Tensor) -> Tensor:
    """What a router makes of states (..., width), from its tensors in their order."""
    x = x.float()
    if kind != "linear":
        weight, bias, *values = values
        x = x @ weight.T + bias
    if kind == "two-layer":
        x = x.clamp_min(0)
    if kind == "normalised":
        scale, *values = values
        x = scale * x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        x = x / (1 + (-x).exp())
    weight, bias = values
    logits = x @ weight.T + bias
    return logits[..., 0] if len(weight) == 1 else logits[..., 1] - logits[..., 0]


@pytest.mark.parametrize("name", [*METHODS, *TOP_K])
@torch.no_grad()
def test_routes_follow_from_the_routers(routed: Callable[..., PreTrainedModel], name: str) -> None:
    """Of routers by hand, of what enters the block, or its MLP."""
    model, whole, margins = routed((METHODS | TOP_K)[name]), FullPass(), {}
    let_half_run(model)
    entering: dict[str, list[Tensor]] = {"block": [], "mlp": []}
    for block in model.model.layers:
        for place, norm in (
            ("block", block.input_layernorm),
            ("mlp", block.post_attention_layernorm),
        ):
            states = entering[place]
            norm.register_forward_pre_hook(lambda _, given, to=states: to.append(given[0]))
    genuine = whole.gates

    def noted(router: Routed, router_name: str, *given: Tensor | None) -> tuple:
        margins[router.number, router_name] = given[0]
        return genuine(router, router_name, *given)

    whole.gates = noted
    logits_of(model, routes=whole)
    blocks, names, kind, reads_block = ROUTERS[name]
    assert margins.keys() == {(block, router) for block in blocks for router in names}
    for (number, router_name), found in margins.items():
        router = getattr(model.model.layers[number].router, router_name)
        is_behind = router_name == "mlp" and not reads_block
        states = entering["mlp" if is_behind else "block"][number]
        expected = margins_by_hand([*router.parameters()], kind, states)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        for part in PARTS if router_name == "block" else (router_name,):
            run = whole.run[number][part][:, model.routing.reserved :]
            if name in METHODS:
                assert torch.equal(run, (found >= 0)[:, model.routing.reserved :])
            else:
                least = found.masked_fill(~run, math.inf).min(-1).values
                assert (found.masked_fill(run, -math.inf).max(-1).values <= least).all()
        assert found.std() > 0.1


def test_reserved_blocks_and_tokens_always_run(routed: Callable[..., PreTrainedModel]) -> None:
    model, whole = routed(METHODS["d-llm"]), FullPass()
    shift(model, -100)
    logits_of(model, routes=whole)
    assert whole.run[0] == whole.run[1] == {}
    for block in (2, 3):
        for part in PARTS:
            expected = torch.arange(ASKED.shape[1]) < 2
            assert torch.equal(whole.run[block][part], expected.expand(ASKED.shape))


@pytest.mark.parametrize(
    ("capacity", "is_strict", "count"),
    [(1.0, False, 10), (0.55, False, 5), (0.05, False, 1), (0.55, True, 4), (0.1, True, 1)],
)
def test_so_many_of_a_row_run(capacity: float, is_strict: bool, count: int) -> None:
    margins = torch.randn(4, 10, generator=torch.Generator().manual_seed(0))
    run = among_largest(margins, capacity, is_strict)
    assert (run.sum(-1) == count).all()
    least = margins.masked_fill(~run, math.inf).min(-1).values
    assert (margins.masked_fill(run, -math.inf).max(-1).values <= least).all()
    equal = among_largest(torch.zeros(1, 10), capacity, is_strict)
    assert equal[0, :count].all() and not equal[0, count:].any()


def test_padding_before_a_row_changes_nothing(routed: Callable[..., PreTrainedModel]) -> None:
    for name in ("skipgpt", "mod"):
        model = routed(METHODS[name])
        let_half_run(model)
        padded = torch.cat([torch.zeros(3, 4, dtype=torch.long), ASKED], dim=1)
        mask = torch.cat([torch.zeros(3, 4), torch.ones(ASKED.shape)], dim=1).long()
        positions = (mask.cumsum(-1) - 1).clamp_min(0)
        found = logits_of(model, padded, attention_mask=mask, position_ids=positions)
        torch.testing.assert_close(found[:, 4:], logits_of(model), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["skipgpt", "d-llm", "mod"])
def test_transformers_own_generation_skips_alike(
    routed: Callable[..., PreTrainedModel], name: str
) -> None:
    """As the evaluation harness generates: padded in front, greedy, with a cache."""
    model = routed(METHODS[name])
    let_half_run(model)
    lengths = (13, 9, 4)
    expected = torch.zeros(3, 6, dtype=torch.long)
    for row, length in enumerate(lengths):
        ids = ASKED[row : row + 1, :length]
        for place in range(6):
            token = logits_of(model, ids)[:, -1].argmax(-1, keepdim=True)
            expected[row, place] = token
            ids = torch.cat([ids, token], dim=1)
    padded, mask = torch.zeros_like(ASKED), torch.zeros_like(ASKED)
    for row, length in enumerate(lengths):
        padded[row, 13 - length :], mask[row, 13 - length :] = ASKED[row, :length], 1
    found = model.generate(
        padded, attention_mask=mask, max_new_tokens=6, do_sample=False, eos_token_id=None,
        pad_token_id=0,
    )  # fmt: skip
    assert torch.equal(found[:, 13:], expected)


def test_a_seed_decides_what_routers_begin_as(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder = tiny_model(blocks=BLOCKS)
    digests = []
    for number, seed in enumerate((0, 0, 1)):
        (place := tmp_path / str(number)).mkdir()
        files = run(place, folder, METHODS["d-llm"] | {"seed": seed})
        digests.append(read_pruned(files).digest)
    assert digests[0] == digests[1] != digests[2]


def test_what_follows_from_routers_is_part_of_a_digest(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    folder, digests = tiny_model(blocks=BLOCKS), set()
    for skip in (0.2, 0.3):
        (place := tmp_path / str(skip)).mkdir()
        digests.add(read_pruned(run(place, folder, TOP_K["lrm"] | {"skip": skip})).digest)
    assert len(digests) == 2


def test_it_is_no_plain_checkpoint(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    folder = tiny_model(blocks=BLOCKS)
    pruned: Pruned = read_pruned(run(tmp_path, folder, METHODS["skipgpt"]))
    assert pruned.record.engines == ("transformers",) and pruned.record.export is None
    with pytest.raises(InputError, match="no plain checkpoint has a place for what method skipgpt"):
        export(open_checkpoint(folder), pruned, tmp_path / "export")


@pytest.mark.parametrize(("method", "spared"), [("skipgpt", ("q", "o")), ("d-llm", "qkvo")])
def test_what_a_skipped_attention_spares(
    tmp_path: Path, tiny_model: Callable[..., Path], method: str, spared: str
) -> None:
    """Of tiny llama's block: q, o 18 x 18, k, v 6 x 18, three of 25 x 18."""
    record = read_pruned(run(tmp_path, tiny_model(blocks=BLOCKS), METHODS[method])).record
    weights = {"q": 324, "k": 108, "v": 108, "o": 324, "mlp": 3 * 25 * 18}
    whole = sum(weights.values())
    assert record.dynamic.spared == {
        "attention": pytest.approx(sum(weights[role] for role in spared) / whole),
        "mlp": pytest.approx(weights["mlp"] / whole),
    }


def test_unknown_blocks_are_refused(tmp_path: Path, tiny_model: Callable[..., Path]) -> None:
    folder = tiny_model("mistral", blocks=BLOCKS)
    with pytest.raises(InputError, match="skipgpt has no way to skip sublayers of a model of type"):
        run(tmp_path, folder, METHODS["skipgpt"])
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", METHODS)
@torch.no_grad()
def test_all_tokens_run_at_first_however_large_their_states_are(name: str) -> None:
    """In whatever block, of hidden states with a root mean square of 16; those of a real model grow
    from block to block.
    """
    routing = parser_of(Variant)(json.dumps(METHODS[name])).routing(BLOCKS)
    hidden, generator = 256, torch.Generator().manual_seed(0)
    states = 16 * torch.randn(3, 50, hidden, generator=generator)
    for router_name in routing.names:
        router = Routed(routing, routing.blocks[0], hidden)
        place = router_place(routing.blocks[0], router_name)
        getattr(router, router_name).load_state_dict(
            {
                tensor: first_values(routing, f"{place}.{tensor}", tuple(value.shape), generator)
                for tensor, value in getattr(router, router_name).state_dict().items()
            },
            assign=True,
        )
        margins = router.margins(router_name, states)
        assert margins.std() < 1e-6 and (margins >= 1 - 1e-6).all()


@pytest.mark.parametrize("name", TOP_K)
def test_of_the_largest_of_a_row_it_is_not_the_first_that_run(name: str) -> None:
    routing = parser_of(Variant)(json.dumps(TOP_K[name])).routing(BLOCKS)
    weight = f"{router_place(routing.blocks[0], routing.names[0])}.weight"
    drawn = first_values(routing, weight, (1, 256), torch.Generator().manual_seed(0))
    states = torch.randn(50, 256, generator=torch.Generator().manual_seed(1))
    assert len((states @ drawn.T).unique()) == 50


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("gap", [-8.0, 0.0, 8.0, 20.0])
def test_evicted_keys_weigh_nothing_and_have_the_gradients_of_a_product(
    gap: float, dtype: torch.dtype
) -> None:
    """Held against probabilities times gates, normalised again, where the first key scores so much
    more than others and is not there: what is added to scores is kept in the model's dtype.
    """
    tokens, generator = 5, torch.Generator().manual_seed(0)
    scores = torch.randn(tokens, tokens, generator=generator, dtype=torch.float64)
    scores[:, 0] += gap
    values = torch.randn(tokens, 3, generator=generator, dtype=torch.float64)
    run = torch.tensor([[0.0, 1.0, 1.0, 0.0, 1.0]])
    gate = run.clone().requires_grad_()
    added = _without_evicted(None, (gate, run > 0), False, dtype, None, 0)[0, 0]
    assert added.dtype == dtype
    found = (scores.float() + added.float()).softmax(-1)
    (found @ values.float())[1:].square().sum().backward()

    exact = run.double().requires_grad_()
    seen = torch.ones(tokens, tokens, dtype=torch.bool).tril()
    gates = torch.where(torch.eye(tokens, dtype=torch.bool), 1.0, exact)
    product = scores.masked_fill(~seen, -math.inf).softmax(-1) * gates
    product = product / product.sum(-1, keepdim=True)
    (product @ values)[1:].square().sum().backward()

    torch.testing.assert_close(found.double(), product, rtol=1e-4, atol=1e-9)
    assert found[4, [0, 3]].max() < 1e-10
    # the gradient passes through what is added, and so is rounded as that is
    rounded = 1e-3 if dtype == torch.float32 else 2**-7
    torch.testing.assert_close(gate.grad.double(), exact.grad, rtol=rounded, atol=1e-6)


def test_a_model_without_blocks_between_first_and_last_is_refused(
    tmp_path: Path, tiny_model: Callable[..., Path]
) -> None:
    said = r"skip: 0\.3 is not allowed; of 2 blocks at most 0 of all tokens x sublayers can be skip"
    with pytest.raises(InputError, match=said):
        run(tmp_path, tiny_model(blocks=2), TOP_K["lrm"])
