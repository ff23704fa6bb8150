"""The transformers engine: what a request yields depends on the request alone."""

import threading
from collections import deque
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from workflow_scripts.engines import transformers_engine
from workflow_scripts.engines.attention import use_grouped_attention
from workflow_scripts.engines.interface import Request
from workflow_scripts.engines.passes import Passes
from workflow_scripts.engines.sampling import Sampling, UniformStream, draw_token
from workflow_scripts.engines.slots import SlotCache, cache_length
from workflow_scripts.engines.transformers_engine import TransformersEngine
from workflow_scripts.errors import InputError

VOCABULARY = 60  # of an embedding with 64 rows
SAMPLED = Sampling(temperature=1.0, top_p=0.95, top_k=20)
GREEDY = Sampling(temperature=0.0, top_p=1.0, top_k=0)


def tiny_model(kind="qwen3", seed=0, **config):
    torch.manual_seed(seed)
    sizes = dict(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
    ) | config  # fmt: skip
    if kind == "llama":
        model = LlamaForCausalLM(LlamaConfig(**sizes))
    elif kind == "experts":
        experts = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
        model = Qwen3MoeForCausalLM(Qwen3MoeConfig(**sizes | experts))
    else:
        model = Qwen3ForCausalLM(Qwen3Config(**sizes, head_dim=16))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.3)
    return model.eval()


def requests(count, sampling, seed=0, stop=(1, 2)):
    numbers = np.random.default_rng(seed)
    return [
        Request(
            prompt=tuple(int(t) for t in numbers.integers(3, VOCABULARY, numbers.integers(1, 40))),
            max_tokens=int(numbers.integers(1, 30)),
            stop=stop,
            sampling=sampling,
            seed=int(numbers.integers(2**62)),
        )
        for _ in range(count)
    ]


def run(model, asked, slots=4, threads=1):
    engine = TransformersEngine(model, VOCABULARY, slots, 80, threads)
    return dict(engine.generate(deque(asked)))


def decoded_without_cache(model, request):
    """The slow way: the whole sequence through the model again for every token."""
    stream, tokens = UniformStream(request.seed), []
    while len(tokens) < request.max_tokens:
        with torch.no_grad():
            logits = model(torch.tensor([[*request.prompt, *tokens]]), use_cache=False).logits
        token = draw_token(logits[0, -1, :VOCABULARY].numpy(), request.sampling, stream)
        if token in request.stop:
            return tuple(tokens), token
        tokens.append(token)
    return tuple(tokens), None


@pytest.mark.parametrize("kind", ["qwen3", "llama", "experts"])
@pytest.mark.parametrize("sampling", [SAMPLED, GREEDY], ids=["sampled", "greedy"])
def test_equals_decoding_without_cache_or_batch(kind, sampling):
    model = tiny_model(kind)
    asked = requests(12, sampling)
    for request, completion in run(model, asked).items():
        expected = decoded_without_cache(model, request)
        assert (completion.tokens, completion.stopped_by) == expected


def test_a_result_does_not_depend_on_neighbours_order_or_batch_size():
    model = tiny_model()
    asked = requests(20, SAMPLED)
    together = run(model, asked)
    assert len(together) == 20
    assert run(model, asked[::-1]) == together
    for slots in (1, 2, 3, 7, 16, 33):
        assert run(model, asked, slots=slots) == together
    for threads in (2, 3, 40):
        assert run(model, asked, slots=16, threads=threads) == together
    alone = {}
    for request in asked:
        alone |= run(model, [request])
    assert alone == together


@torch.inference_mode()
def test_experts_give_a_row_the_same_bits_however_many_rows_they_are_sent():
    engine = TransformersEngine(tiny_model("experts"), VOCABULARY, 8, longest=40)
    _, prefilled = engine.passes.prefill([(3, 4, 5)])
    rows = []
    for others in (5, 9, 30):
        cache = SlotCache(prefilled, 8, 64)
        cache.repeat(prefilled, 3)
        rows.append(engine.passes.step(cache, [5] + [others] * 7, [3] * 8)[0])
    assert torch.equal(rows[0], rows[1]) and torch.equal(rows[0], rows[2])


LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "original_max_position_embeddings": 32,
    "short_factor": [1.0] * 8,
    "long_factor": [float(n) for n in range(2, 10)],
}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}
BY_LENGTH = {
    "longrope": {"rope_parameters": LONGROPE},
    "dynamic": {"rope_parameters": DYNAMIC, "max_position_embeddings": 32},
}


@pytest.mark.parametrize("config", BY_LENGTH.values(), ids=BY_LENGTH)
def test_frequencies_are_those_of_a_request_s_own_length(config, caplog):
    """Some stay below the length at which they change, some cross it, some begin beyond."""
    asked = requests(12, GREEDY)
    ends = [(len(r.prompt), len(r.prompt) + r.max_tokens) for r in asked]
    assert {(a > 32, b > 32) for a, b in ends} == {(False, False), (False, True), (True, True)}
    together = run(tiny_model(**config), asked, slots=8)
    assert "at a time" not in caplog.text
    for request in asked:
        assert run(tiny_model(**config), [request], slots=1)[request] == together[request]


def test_rows_that_a_longer_one_changes_are_found_out(monkeypatch, caplog):
    monkeypatch.setattr(transformers_engine, "rotate_rows_apart", lambda model: False)
    TransformersEngine(tiny_model(**BY_LENGTH["longrope"]), VOCABULARY, 8, longest=32)
    assert "at a time" not in caplog.text
    TransformersEngine(tiny_model(**BY_LENGTH["longrope"]), VOCABULARY, 8, longest=33)
    assert "one request at a time" in caplog.text


def test_decoding_one_at_a_time_gives_every_completion():
    model = tiny_model()
    asked = requests(5, GREEDY)
    found = run(model, asked, slots=1)
    assert set(found) == set(asked)
    for request in asked:
        tokens, stopped_by = decoded_without_cache(model, request)
        assert (found[request].tokens, found[request].stopped_by) == (tokens, stopped_by)


@pytest.mark.parametrize(
    "differs, decoded",
    [
        # as kernels for many rows do on GPUs
        (lambda rows, length, position: rows > 8, "8 requests"),
        (lambda rows, length, position: rows > 4, "4 requests"),
        (lambda rows, length, position: length > 64, "one request"),
        # beside a row that is longer, but not the longest
        (lambda rows, length, position: length == 128 and position == 62, "one request"),
        # as attention does there that splits a long cache
        (lambda rows, length, position: length > 128 and position > 64, "one request"),
    ],
)
def test_the_largest_batch_that_rounds_as_the_reference_is_used(
    monkeypatch, caplog, differs, decoded
):
    """A kernel that treats the last row of some shapes differently must be found out."""
    genuine = Passes.step

    def disturbed(self, cache, ids, positions, *how):
        logits = genuine(self, cache, ids, positions, *how)
        if differs(len(ids), cache.used, max(positions)):
            logits[-1] *= 1 + 2**-20
        return logits

    monkeypatch.setattr(Passes, "step", disturbed)
    model = tiny_model()
    asked = requests(5, GREEDY)
    engine = TransformersEngine(model, VOCABULARY, 16, longest=200)
    found = dict(engine.generate(deque(asked)))
    assert f"{decoded} at a time" in caplog.text
    for request in asked:
        assert found[request].tokens == decoded_without_cache(model, request)[0]


@pytest.mark.parametrize("kind", ["qwen3", "llama"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_without_copies_computes_the_bits_of_transformers_own(kind, dtype):
    """So that what a store holds is what would be decoded today."""
    own, grouped = (tiny_model(kind).to(dtype) for _ in range(2))
    assert use_grouped_attention(grouped)
    prompt = torch.arange(3, 20)[None]
    with torch.inference_mode():
        prefilled, same = (model(prompt, logits_to_keep=1) for model in (own, grouped))
        assert torch.equal(prefilled.logits, same.logits)
        visible = torch.arange(64) <= torch.tensor([[9], [17], [30], [62]])
        logits = []
        for model in (own, grouped):
            cache = SlotCache(prefilled.past_key_values, 4, 64)
            cache.repeat(prefilled.past_key_values, 64)
            cache.positions = visible.sum(1) - 1
            logits.append(
                model(
                    torch.full((4, 1), 5),
                    position_ids=cache.positions[:, None],
                    attention_mask=visible[:, None, None],
                    past_key_values=cache,
                ).logits
            )
        assert torch.equal(*logits)


@pytest.fixture
def passes(monkeypatch):
    """The lengths of the prompts of each pass in which some are prefilled."""
    found, genuine = [], Passes.prefill

    def prefill(self, prompts):
        found.append([len(prompt) for prompt in prompts])
        return genuine(self, prompts)

    monkeypatch.setattr(Passes, "prefill", prefill)
    return found


# whole vectors for every token: what is left over is rounded in another way
EVEN = {"intermediate_size": 64}
LENGTHS = 10, 3, 200, 40, 10, 30


def of_lengths(lengths, tokens=2):
    return [
        Request(tuple(range(3, 3 + n % 50)) + (7,) * (n - n % 50), tokens, (), GREEDY, seed)
        for seed, n in enumerate(lengths)
    ]


def test_prompts_are_prefilled_together_short_ones_alone_and_equal_ones_once(passes):
    engine = TransformersEngine(tiny_model(**EVEN), VOCABULARY, 6, longest=300)
    passes.clear()
    queue, late = deque(of_lengths(LENGTHS, tokens=3)), of_lengths([40], tokens=5)
    found = {}
    for request, completion in engine.generate(queue):
        found[request] = completion
        while late:
            queue.append(late.pop())  # others with its prompt are decoded or have just ended
    assert passes[:3] == [[10], [3], [200, 40]] and sum(map(len, passes)) <= 6
    for request, completion in found.items():
        assert completion.tokens == decoded_without_cache(tiny_model(**EVEN), request)[0]


def test_a_prompt_that_is_being_decoded_is_not_prefilled_again(passes):
    engine = TransformersEngine(tiny_model(**EVEN), VOCABULARY, 2, longest=80)
    passes.clear()
    asked = of_lengths([20, 5, 20], tokens=9)
    asked[1] = replace(asked[1], max_tokens=4)
    found = dict(engine.generate(deque(asked)))
    assert passes == [[20, 5]] and found[asked[0]] == found[asked[2]]


def test_prompts_that_would_round_differently_together_are_prefilled_alone(monkeypatch, passes):
    recorded = Passes.prefill

    def disturbed(self, prompts):
        logits, cache = recorded(self, prompts)
        if len(prompts) > 1:
            cache.layers[1].values[..., -1, :] *= 1 + 2**-20
        return logits, cache

    monkeypatch.setattr(Passes, "prefill", disturbed)
    engine = TransformersEngine(tiny_model(**EVEN), VOCABULARY, 6, longest=300)
    passes.clear()
    assert len(list(engine.generate(deque(of_lengths(LENGTHS))))) == 6
    assert passes == [[n] for n in (10, 3, 200, 40, 30)]


def test_each_thread_computes_rows_of_its_own(monkeypatch):
    steps, genuine = set(), Passes.step

    def step(self, cache, ids, positions, *how):
        steps.add((threading.get_ident(), len(ids)))
        return genuine(self, cache, ids, positions, *how)

    engine = TransformersEngine(tiny_model(), VOCABULARY, 16, 80, threads=2)
    monkeypatch.setattr(Passes, "step", step)
    list(engine.generate(deque(requests(16, GREEDY))))
    assert sorted(rows for _, rows in steps) == [8, 8]


def test_requests_added_between_completions_are_served():
    model = tiny_model()
    first, *rest = requests(7, GREEDY)
    queue, finished = deque([first]), []
    for request, _ in TransformersEngine(model, VOCABULARY, 2, longest=80).generate(queue):
        finished.append(request)
        if rest:
            queue.append(rest.pop())
    assert len(finished) == 7


def test_ids_beyond_the_tokenizer_are_never_drawn():
    model = tiny_model()
    with torch.no_grad():  # make the padding rows of the embedding the likeliest by far
        model.lm_head.weight[VOCABULARY:] = 40 * model.lm_head.weight[:4]
    hot = Sampling(temperature=5.0, top_p=1.0, top_k=0)
    for completion in run(model, requests(10, hot, stop=())).values():
        assert max(completion.tokens) < VOCABULARY


def test_a_model_with_sliding_windows_is_refused():
    config = Qwen3Config(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, use_sliding_window=True,
        sliding_window=8, max_window_layers=1,
    )  # fmt: skip
    with pytest.raises(InputError, match="full attention in every block"):
        run(Qwen3ForCausalLM(config).eval(), requests(1, GREEDY))


def test_cache_length_is_a_power_of_two_that_holds_the_tokens():
    lengths = {n: cache_length(n) for n in (1, 64, 65, 128, 129, 1000)}
    assert lengths == {1: 64, 64: 64, 65: 128, 128: 128, 129: 256, 1000: 1024}


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_logits_that_are_not_finite_end_the_job_at_their_step(sampling, value):
    """Also where they are those of a token that would never be drawn."""
    model = tiny_model()
    model.name_or_path = "resources/models/m"
    asked = requests(2, sampling, stop=())[1]
    steps = []

    def spoil(module, arguments, logits):
        steps.append(len(steps))
        if len(steps) == 3:
            logits[..., 7] = value
        return logits

    engine = TransformersEngine(model, VOCABULARY, 1, longest=80)
    model.lm_head.register_forward_hook(spoil)
    with pytest.raises(InputError) as error:
        list(engine.generate(deque([replace(asked, max_tokens=9)])))
    assert str(error.value) == (
        f"resources/models/m: logits are not finite at token 3 after a prompt of "
        f"{len(asked.prompt)}: the pruned model overflows in torch.float32; set generation.dtype "
        "to a wider type"
    )


def test_logits_beyond_the_tokenizer_may_be_anything():
    model, asked = tiny_model(), requests(2, GREEDY)
    expected = run(model, asked)

    def spoil(module, arguments, logits):
        logits[..., VOCABULARY:] = np.nan
        return logits

    engine = TransformersEngine(model, VOCABULARY, 4, longest=80)
    model.lm_head.register_forward_hook(spoil)
    assert dict(engine.generate(deque(asked))) == expected
