"""The vLLM engine on the bundled reasoner, beside the transformers engine."""

import json
import os
import subprocess
import sys
from collections import Counter, deque
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.stats import chisquare
from transformers import AutoConfig, AutoModelForCausalLM

from tests.artefacts.variants import in_memory, random_keeps
from tests.config.config_door import changed
from tests.engines.vllm_process import SETTINGS, Work, decode_all
from tests.models.tiny_models import save_allocation, save_tiny_model, write_manifest
from workflow_scripts.artefacts.masks import variant_files
from workflow_scripts.artefacts.pruned_checkpoints import export
from workflow_scripts.artefacts.records import Answer, Problem, Trace, read_records
from workflow_scripts.config.entry import as_json
from workflow_scripts.config.load import load_settings
from workflow_scripts.engines import transformers_engine
from workflow_scripts.engines.interface import Completion, Request
from workflow_scripts.engines.sampling import Sampling
from workflow_scripts.engines.vllm_engine import fixed_at_start
from workflow_scripts.masking import build_mask
from workflow_scripts.models.checkpoints import EMBEDDING, load_tensor, open_checkpoint
from workflow_scripts.models.tokenizers import load_tokenizer
from workflow_scripts.models.units import KV_GROUP, NEURON, block_units
from workflow_scripts.paths import PROJECT

pytest.importorskip("vllm")

REASONER = PROJECT / "bundled" / "models" / "reasoner"
IDS = 23
LONGEST = 160
THINK, END_OF_THINKING, END = 5, 6, 4
GREEDY = Sampling(temperature=0.0, top_p=1.0, top_k=0)
HOT = Sampling(temperature=2.0, top_p=1.0, top_k=0)


def prompts(count):
    """Chat prompts of the bundled benchmark with thinking opened."""
    tokenizer = load_tokenizer(REASONER)
    problems = read_records(PROJECT / "bundled" / "benchmarks" / "chains.jsonl", Problem)
    chats = ([{"role": "user", "content": p.question}] for p in problems[:: len(problems) // count])
    return [
        (*tokenizer.apply_chat_template(c, add_generation_prompt=True, return_dict=False), THINK)
        for c in chats
    ][:count]


PROMPTS = prompts(24)
# all that is asked is handed to vLLM, whose cache has room for 8 sequences of one block
CACHE = {"kv_cache_memory_bytes": (8 + 1) * 128 * 2 * 6 * 2 * 32 * 4}
CROWDED = replace(SETTINGS, batch_size=24, engine_options=CACHE)
TRACES = [Request(p, 72, (END_OF_THINKING, END), GREEDY, 0) for p in PROMPTS]
CAPPED = [Request(p, 5, (END_OF_THINKING, END), GREEDY, 0) for p in PROMPTS]
# nothing stops them: not the model's own end of turn either
UNSTOPPED = [Request(p, 90, (), GREEDY, 0) for p in PROMPTS[:4]]
ONE_TOKEN = [Request(PROMPTS[0][:6], 1, (), HOT, seed) for seed in range(1500)]
LIKELIEST = [
    Request(p, 20, (END,), Sampling(1.5, top_p, top_k), seed)
    for seed, p in enumerate(PROMPTS)
    for top_p, top_k in ((1.0, 1), (1e-6, 0))
]
SEEDED = [Request(PROMPTS[1], 30, (), HOT, seed) for seed in (1, 2, 2**63 - 1, 2**62)]


def by_transformers(model, requests, variant=None, vocabulary=IDS):
    engine = transformers_engine.start(
        model, variant or in_memory(model), replace(SETTINGS, batch_size=16), vocabulary, LONGEST
    )
    return dict(engine.generate(deque(requests)))


@pytest.fixture(scope="module")
def traces():
    """The transformers engine's greedy traces."""
    return by_transformers(REASONER, TRACES)


@pytest.fixture(scope="module")
def answers(traces):
    """Answer requests by the trace requests that they follow."""
    return {
        request: Request((*request.prompt, *trace.tokens, END_OF_THINKING), 8, (END,), GREEDY, 1)
        for request, trace in traces.items()
    }


@pytest.fixture(scope="module")
def exact(traces):
    """The trace requests with just the room that their tokens need, and with one token more."""
    return [
        replace(request, max_tokens=len(trace.tokens) + room, seed=room)
        for request, trace in traces.items()
        for room in (0, 1)
        if trace.stopped_by is not None
    ]


@pytest.fixture(scope="module")
def widened(tmp_path_factory):
    """The reasoner with more rows of its embedding than ids, which would always be drawn."""
    folder = tmp_path_factory.mktemp("widened")
    for file in REASONER.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((REASONER / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 64}))
    tensors = load_file(REASONER / "model.safetensors")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        rows = tensors[name].repeat(2, 1)[: 64 - IDS] * 50
        tensors[name] = torch.cat([tensors[name], rows])
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def changed_variant(widened):
    """The widened reasoner without two blocks and half of the other weights; in one block a
    linear and a norm are changed, and another linear has a low-rank delta."""
    torch.manual_seed(0)
    keeps = {name: keep for name, keep in random_keeps(widened, 0.3).items() if ".1." not in name}
    mlp, norm = "model.layers.3.mlp.up_proj.weight", "model.layers.3.input_layernorm.weight"
    tensors = load_file(widened / "model.safetensors")
    delta = "model.layers.5.self_attn.q_proj.weight"
    output, inputs = tensors[delta].shape
    changed = {name: (tensors[name] * 1.25).clone() for name in (mlp, norm)}
    changed[f"{delta}.lora_A"] = torch.randn(2, inputs) / 8
    changed[f"{delta}.lora_B"] = torch.randn(output, 2) / 8
    return in_memory(widened, keeps, (1,), changed, {delta: 0.5})


@pytest.fixture(scope="module")
def qwen2(tmp_path_factory):
    """A tiny Qwen2 with heads as wide as vLLM has kernels for, and no sliding window."""
    folder = save_tiny_model(tmp_path_factory.mktemp("qwen2"), "qwen2", hidden=96, intermediate=128)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    whole = {"use_sliding_window": False, "layer_types": ["full_attention"] * 3}
    (folder / "config.json").write_text(json.dumps(config | whole))
    write_manifest(folder)
    return folder


@pytest.fixture(scope="module")
def biased_variant(qwen2):
    """A Qwen2 without its second block, with biases that only a Llama has a place for."""
    torch.manual_seed(0)
    biases = {
        f"model.layers.{block}.{module}.bias": torch.randn(96)
        for block in (0, 2)
        for module in ("self_attn.o_proj", "mlp.down_proj")
    }
    keeps = {name: keep for name, keep in random_keeps(qwen2).items() if ".1." not in name}
    return in_memory(qwen2, keeps, (1,), biases)


# what the export of a Qwen2 without one KV group becomes -> its hidden width, heads and KV heads
NARROW = {"llama": (128, 4, 2), "seed_oss": (192, 6, 6)}


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """Exports of tiny Qwen2 without one of their KV groups and some neurons, by their new class."""
    return {kind: narrow_export(tmp_path_factory, *sizes) for kind, sizes in NARROW.items()}


def narrow_export(tmp_path_factory, hidden, heads, kv_heads):
    folder = save_tiny_model(
        tmp_path_factory.mktemp("whole"), "qwen2", hidden=hidden, intermediate=128, heads=heads,
        kv_heads=kv_heads,
    )  # fmt: skip
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    whole = {"use_sliding_window": False, "layer_types": ["full_attention"] * 3}
    path.write_text(json.dumps(config | whole))
    write_manifest(folder)
    checkpoint, keeps = open_checkpoint(folder), {}
    for units in block_units(checkpoint):
        keeps |= units.keep({KV_GROUP: [units.block % 2], NEURON: range(32)})
    place = tmp_path_factory.mktemp("narrow") / "model"
    export(checkpoint, in_memory(folder, keeps), place)
    return place


@pytest.fixture(scope="module")
def mixture(tmp_path_factory):
    """A tiny Qwen3-MoE: two of eight experts for a token."""
    folder = tmp_path_factory.mktemp("mixture")
    config = AutoConfig.for_model(
        "qwen3_moe", vocab_size=64, hidden_size=128, intermediate_size=128, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, head_dim=32, moe_intermediate_size=64,
        num_experts=8, num_experts_per_tok=2, max_position_embeddings=256,
        pad_token_id=None, bos_token_id=None, eos_token_id=1,
    )  # fmt: skip
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if "norm" in name else 0.0, 0.1)
    model.save_pretrained(folder)
    write_manifest(folder)
    return folder


@pytest.fixture(scope="module")
def masked_mixture(mixture):
    """The mixture without its second block and half of the other weights, experts' included."""
    keeps = random_keeps(mixture, 0.5)
    keeps = {x: keep for x, keep in keeps.items() if not x.startswith("model.layers.1.")}
    return in_memory(mixture, keeps, (1,))


DRAWN = [Request(p, 30, (END,), HOT, seed) for seed, p in enumerate(PROMPTS[:8])]
SHORT = [
    Request(tuple(range(4, 20 + seed)), 10, (), sampling, seed)
    for seed in range(6)
    for sampling in (GREEDY, HOT)
]


OF_A_MIXTURE = [Request(tuple(range(2 + i, 10 + i)), 12, (), GREEDY, 0) for i in range(6)]

# prompts of more than a block of the cache, which the next variant would take for its own
LONG = [
    Request((p * 9)[:140], 20, (), sampling, seed)
    for seed, p in enumerate(PROMPTS[:6])
    for sampling in (GREEDY, HOT)
]


@pytest.fixture(scope="module")
def turns(widened, changed_variant, qwen2, biased_variant):
    """By the names of `works`, a variant of its shape, and those that follow it in its engine."""
    keeps, biases = changed_variant.keep, biased_variant.weights
    others = {x: k for x, k in random_keeps(widened, 0.5, seed=1).items() if x in keeps}
    first = in_memory(widened, others, (1,))
    opposite = {name: -bias for name, bias in biases.items()}
    biased = in_memory(qwen2, removed=(1,), changed=opposite)
    return {
        "changed": (first, (changed_variant, in_memory(widened))),
        "biased": (biased, (biased_variant,)),
    }


@pytest.fixture(scope="module")
def overflowing(qwen2):
    """Its last norm's weights are finite, what they make of a hidden state is not."""
    norm = load_file(qwen2 / "model.safetensors")["model.norm.weight"]
    return in_memory(qwen2, changed={"model.norm.weight": torch.full_like(norm, 3e38)})


@pytest.fixture(scope="module")
def works(
    answers, exact, widened, changed_variant, qwen2, biased_variant, overflowing, turns, mixture,
    masked_mixture, narrow, tmp_path_factory,
):  # fmt: skip
    """What vLLM decodes, by name; `exported` is a pruned model as a folder of its own."""
    rounds = [TRACES, CAPPED, UNSTOPPED, ONE_TOKEN, LIKELIEST, SEEDED, SEEDED, exact]
    found = {"dense": Work(REASONER, in_memory(REASONER), IDS, LONGEST, rounds, answers, CROWDED)}
    pruned = {
        "changed": Work(widened, changed_variant, IDS, LONGEST, [TRACES[:8] + DRAWN, LONG]),
        "biased": Work(qwen2, biased_variant, 46, 32, [SHORT]),
    }
    for name, work in pruned.items():
        folder = tmp_path_factory.mktemp("exported") / name
        export(open_checkpoint(work.model), work.pruned, folder)
        found[name] = work
        found[f"{name}, exported"] = replace(work, model=folder, pruned=in_memory(folder))
    for name, (first, others) in turns.items():
        found[f"{name}, in turn"] = replace(found[name], pruned=first, variants=others)
    found["overflowing"] = Work(qwen2, overflowing, 46, 32, [SHORT])
    for kind, folder in narrow.items():
        found[kind] = Work(folder, in_memory(folder), 46, 32, [SHORT])
    found["mixture"] = Work(mixture, masked_mixture, 60, 64, [OF_A_MIXTURE])
    return found


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def decoded(works, scratch):
    """By the names of `works`, what vLLM decoded; its log as `log`."""
    done, log = decode_all(list(works.values()), scratch)
    return dict(zip(works, done, strict=True)) | {"log": log}


@pytest.fixture(scope="module")
def done(decoded):
    """What the dense reasoner said, per round."""
    return decoded["dense"]


def test_greedy_traces_are_those_of_the_transformers_engine(done, traces):
    found = dict(done[0])
    assert {request: found[request] for request in TRACES} == traces
    assert {completion.stopped_by for completion in traces.values()} == {END_OF_THINKING, None}


def test_a_pruned_mixture_says_what_it_says_to_the_transformers_engine(
    decoded, mixture, masked_mixture
):
    (found,) = decoded["mixture"]
    assert dict(found) == by_transformers(mixture, OF_A_MIXTURE, masked_mixture, 60)
    assert len({completion.tokens for _, completion in found}) > 3


def test_answers_queued_while_traces_run_start_before_traces_that_wait(done, answers):
    order = [request for request, _ in done[0]]
    assert len(order) == len(set(order)) == 2 * len(TRACES)
    places = {request: place for place, request in enumerate(order)}
    for trace, answer in answers.items():
        assert places[trace] < places[answer]
    # three times what fits into the cache was handed over: an answer behind it would come last
    assert min(places[answer] for answer in answers.values()) <= 8


def test_greedy_answers_are_those_of_the_transformers_engine(done, answers):
    expected = by_transformers(REASONER, answers.values())
    found = dict(done[0])
    assert {request: found[request] for request in answers.values()} == expected
    assert {completion.stopped_by for completion in expected.values()} == {END}


def test_a_cap_cuts_without_a_stop(done, traces):
    whole = {request.prompt: completion for request, completion in traces.items()}
    for request, completion in done[1]:
        tokens = whole[request.prompt].tokens
        ended = END_OF_THINKING if len(tokens) < 5 else None
        assert completion == Completion(tokens[:5], ended)


def test_a_stop_token_right_after_the_cap_does_not_stop(done, exact):
    """A trace of n tokens needs room for n + 1 to end by itself, as in the transformers engine."""
    found = dict(done[7])
    assert found == by_transformers(REASONER, exact) and len(found) > 20
    for request in exact:
        assert found[request].stopped_by == (END_OF_THINKING if request.seed else None)


def test_only_the_given_tokens_stop(done):
    found = dict(done[2])
    assert found == by_transformers(REASONER, UNSTOPPED)
    for completion in found.values():
        assert len(completion.tokens) == 90 and END in completion.tokens


def test_tokens_are_drawn_with_the_probabilities_of_the_model(done):
    model = AutoModelForCausalLM.from_pretrained(REASONER, dtype=torch.float32)
    with torch.no_grad():
        logits = model(torch.tensor([ONE_TOKEN[0].prompt])).logits[0, -1].double()
    expected = torch.softmax(logits / 2.0, -1).numpy() * len(ONE_TOKEN)
    drawn = Counter(completion.tokens[0] for _, completion in done[3])
    common = np.flatnonzero(expected > 5)
    assert len(common) > 4
    counts = [drawn[i] for i in common]
    rest = len(ONE_TOKEN) - sum(counts), len(ONE_TOKEN) - expected[common].sum()
    assert chisquare([*counts, rest[0]], [*expected[common], rest[1]]).pvalue > 1e-4


def test_top_k_and_top_p_of_the_likeliest_alone_are_greedy(done):
    greedy = [replace(request, sampling=GREEDY, seed=0) for request in LIKELIEST]
    expected = by_transformers(REASONER, greedy)
    for request, completion in done[4]:
        assert completion == expected[replace(request, sampling=GREEDY, seed=0)]


def test_a_seed_decides_what_is_drawn(done):
    once, again = dict(done[5]), dict(done[6])
    assert once == again
    assert len(set(once.values())) == len(SEEDED)


def test_the_log_holds_no_bars_and_no_information(decoded):
    assert " INFO " not in decoded["log"] and "it/s]" not in decoded["log"]


@pytest.mark.parametrize("name", ["changed", "biased"])
def test_a_pruned_model_says_what_its_exported_checkpoint_says(decoded, name):
    found, plain = dict(decoded[name][0]), dict(decoded[f"{name}, exported"][0])
    assert found == plain
    assert len({completion.tokens for completion in found.values()}) > 5


@pytest.mark.parametrize("name", ["changed", "biased"])
def test_variants_in_turn_say_what_each_says_with_an_engine_of_its_own(decoded, name):
    alone, taken = decoded[name], decoded[f"{name}, in turn"]
    rounds = len(alone)
    assert list(map(dict, taken[rounds : 2 * rounds])) == list(map(dict, alone))
    for first, second in zip(taken[:rounds], alone, strict=True):
        assert dict(first) != dict(second)


@pytest.mark.parametrize("kind", NARROW)
def test_an_export_with_fewer_heads_and_neurons_is_opened(decoded, narrow, kind):
    assert open_checkpoint(narrow[kind]).config["model_type"] == kind
    found = dict(decoded[kind][0])
    greedy = [request for request in SHORT if request.sampling == GREEDY]
    assert {request: found[request] for request in greedy} == by_transformers(
        narrow[kind], greedy, vocabulary=46
    )


def test_an_engine_that_cannot_take_a_variant_gives_way_to_another(decoded, widened):
    dense = dict(decoded["changed, in turn"][-1])
    greedy = [request for request in LONG if request.sampling == GREEDY]
    expected = by_transformers(widened, greedy)
    assert {request: dense[request] for request in greedy} == expected
    assert decoded["log"].count("took the weights of this variant") == 2
    assert decoded["log"].count("another engine starts") == 1


def test_a_running_engine_takes_no_other_embedding(qwen2):
    checkpoint = open_checkpoint(qwen2)
    tensors = {name: load_tensor(checkpoint, name) for name in (EMBEDDING, "model.norm.weight")}
    dense, embedding, norm = (
        fixed_at_start(checkpoint, in_memory(qwen2, changed=changed))
        for changed in ({}, *({name: -tensor} for name, tensor in tensors.items()))
    )
    assert norm == dense != embedding


def test_a_pruned_model_leaves_no_files(decoded, scratch):
    """No file as large as a model could be written, and none is left."""
    assert not list((scratch / "temporary").iterdir())


def test_a_pruned_model_says_what_it_says_with_transformers(decoded, widened, changed_variant):
    found, expected = (
        dict(decoded["changed"][0]),
        by_transformers(widened, TRACES[:8], changed_variant),
    )
    assert {request: found[request] for request in TRACES[:8]} == expected
    assert expected != by_transformers(REASONER, TRACES[:8])


def test_logits_that_are_not_finite_end_the_job(decoded, qwen2):
    assert decoded["overflowing"] == (
        f"{qwen2}: logits are not finite at step 1 of vLLM: the pruned model overflows in its "
        "dtype; set generation.dtype to a wider type"
    )


def test_ids_beyond_the_tokenizer_are_never_drawn(decoded, widened, changed_variant):
    found = [completion for _, completion in decoded["changed"][0]]
    assert max(token for completion in found for token in completion.tokens) < IDS
    everything = by_transformers(widened, TRACES[:1], changed_variant, vocabulary=64)
    assert max(everything[TRACES[0]].tokens) >= IDS, "no id beyond the tokenizer was in reach"


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """A fetched reasoner, a mask of half its weights and ten problems."""
    folder = tmp_path_factory.mktemp("experiment")
    model = folder / "reasoner"
    model.mkdir()
    for file in REASONER.iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    write_manifest(model)
    allocation = save_allocation(folder / "allocation.json", model, 0.5)
    files = variant_files(folder)
    mask = ["--mask", files.mask, "--weights", files.weights, "--record", files.record]
    options = '{"method": "magnitude", "sparsity": 0.5}'
    magnitude = ["--options", options, "--allocation", allocation]
    build_mask.main([str(part) for part in ["--model", model, *magnitude, *mask]])
    problems = (
        (PROJECT / "bundled/benchmarks/chains.jsonl").read_text(encoding="utf-8").splitlines()
    )
    (folder / "chains.jsonl").write_text("\n".join(problems[::24]) + "\n")
    return folder


def generated(experiment, engine):
    """Run the stage on the experiment; its traces and answers."""
    folder = experiment / engine
    keys = {"engine": engine, "temperature": 0, "repeats": 1, "budgets": [6, 24, 72]}
    config = changed(*((("generation", key), value) for key, value in keys.items()))
    options = load_settings(config, PROJECT).generation_job("reasoner")
    stage = [
        *("--model", experiment / "reasoner", "--options", as_json(options)),
        *("--variant", *variant_files(experiment)),
        *("--benchmarks", f"chains={experiment / 'chains.jsonl'}"),
        *("--store", folder / "store", "--output", folder),
        *("--provenance", folder / "generation.json"),
    ]
    command = [sys.executable, "-m", "workflow_scripts.generation.generate", *map(str, stage)]
    variables = {"PYTHONPATH": str(PROJECT)}
    ended = subprocess.run(
        command, env=os.environ | variables, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    traces = read_records(folder / "traces" / "chains.jsonl", Trace)
    return traces, read_records(folder / "answers" / "chains.jsonl", Answer)


def test_the_stage_with_a_pruned_model_writes_what_it_writes_with_transformers(experiment):
    traces, answers = generated(experiment, "vllm")
    assert (traces, answers) == generated(experiment, "transformers")
    assert len({trace.text for trace in traces}) > 5
    provenance = json.loads((experiment / "vllm" / "generation.json").read_text(encoding="utf-8"))
    assert provenance["generator"]["engine"] == "vllm"
    assert [producer["engine"] for producer in provenance["producers"]] == ["vllm"]
    assert provenance["producers"][0]["vllm"].startswith("0.32.0")
