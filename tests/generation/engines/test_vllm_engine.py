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
from transformers import AutoModelForCausalLM

from tests.config.config_door import changed
from tests.generation.engines.vllm_process import SETTINGS, Work, decode, pruned
from tests.models.tiny_models import save_allocation, write_manifest
from workflow_scripts.artefacts.records import Answer, Problem, Trace, read_records
from workflow_scripts.config.entry import as_json
from workflow_scripts.config.load import load_settings
from workflow_scripts.generation.engines.interface import Completion, Request
from workflow_scripts.generation.engines.sampling import Sampling
from workflow_scripts.generation.engines.start import start_transformers
from workflow_scripts.masking import build_mask
from workflow_scripts.models.tokenizers import load_tokenizer
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


def by_transformers(model, requests, vocabulary=IDS, removed=None):
    engine = start_transformers(
        model, pruned(model, removed), replace(SETTINGS, batch_size=16), vocabulary, LONGEST
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
def done(answers, exact, tmp_path_factory):
    rounds = [TRACES, CAPPED, UNSTOPPED, ONE_TOKEN, LIKELIEST, SEEDED, SEEDED, exact]
    work = Work(REASONER, IDS, LONGEST, rounds, followed_by=answers)
    return decode(work, tmp_path_factory.mktemp("dense"))


def test_greedy_traces_are_those_of_the_transformers_engine(done, traces):
    found = dict(done.rounds[0])
    assert {request: found[request] for request in TRACES} == traces
    assert {completion.stopped_by for completion in traces.values()} == {END_OF_THINKING, None}


def test_answers_queued_while_traces_run_start_before_traces_that_wait(done, answers):
    order = [request for request, _ in done.rounds[0]]
    assert len(order) == len(set(order)) == 2 * len(TRACES)
    places = {request: place for place, request in enumerate(order)}
    for trace, answer in answers.items():
        assert places[trace] < places[answer]
    # three batches of traces were queued: an answer behind them would come after two of them
    assert min(places[answer] for answer in answers.values()) <= SETTINGS.batch_size


def test_greedy_answers_are_those_of_the_transformers_engine(done, answers):
    expected = by_transformers(REASONER, answers.values())
    found = dict(done.rounds[0])
    assert {request: found[request] for request in answers.values()} == expected
    assert {completion.stopped_by for completion in expected.values()} == {END}


def test_a_cap_cuts_without_a_stop(done, traces):
    whole = {request.prompt: completion for request, completion in traces.items()}
    for request, completion in done.rounds[1]:
        tokens = whole[request.prompt].tokens
        ended = END_OF_THINKING if len(tokens) < 5 else None
        assert completion == Completion(tokens[:5], ended)


def test_a_stop_token_right_after_the_cap_does_not_stop(done, exact):
    """A trace of n tokens needs room for n + 1 to end by itself, as in the transformers engine."""
    found = dict(done.rounds[7])
    assert found == by_transformers(REASONER, exact) and len(found) > 20
    for request in exact:
        assert found[request].stopped_by == (END_OF_THINKING if request.seed else None)


def test_only_the_given_tokens_stop(done):
    found = dict(done.rounds[2])
    assert found == by_transformers(REASONER, UNSTOPPED)
    for completion in found.values():
        assert len(completion.tokens) == 90 and END in completion.tokens


def test_tokens_are_drawn_with_the_probabilities_of_the_model(done):
    model = AutoModelForCausalLM.from_pretrained(REASONER, dtype=torch.float32)
    with torch.no_grad():
        logits = model(torch.tensor([ONE_TOKEN[0].prompt])).logits[0, -1].double()
    expected = torch.softmax(logits / 2.0, -1).numpy() * len(ONE_TOKEN)
    drawn = Counter(completion.tokens[0] for _, completion in done.rounds[3])
    common = np.flatnonzero(expected > 5)
    assert len(common) > 4
    counts = [drawn[i] for i in common]
    rest = len(ONE_TOKEN) - sum(counts), len(ONE_TOKEN) - expected[common].sum()
    assert chisquare([*counts, rest[0]], [*expected[common], rest[1]]).pvalue > 1e-4


def test_top_k_and_top_p_of_the_likeliest_alone_are_greedy(done):
    greedy = [replace(request, sampling=GREEDY, seed=0) for request in LIKELIEST]
    expected = by_transformers(REASONER, greedy)
    for request, completion in done.rounds[4]:
        assert completion == expected[replace(request, sampling=GREEDY, seed=0)]


def test_a_seed_decides_what_is_drawn(done):
    once, again = dict(done.rounds[5]), dict(done.rounds[6])
    assert once == again
    assert len(set(once.values())) == len(SEEDED)


def test_the_producer_says_what_computed(done):
    assert done.producer["engine"] == "vllm" and done.producer["dtype"] == "float32"
    assert done.producer["vllm"].startswith("0.32.0")


def test_the_log_holds_no_bars_and_no_information(done):
    assert " INFO " not in done.log and "it/s]" not in done.log


@pytest.fixture(scope="module")
def widened(tmp_path_factory):
    """The reasoner with more rows of its embedding than ids, which would always be drawn."""
    folder = tmp_path_factory.mktemp("widened")
    for file in REASONER.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((REASONER / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 64}))
    tensors = load_file(REASONER / "model.safetensors")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        rows = tensors[name].repeat(2, 1)[: 64 - IDS] * 50
        tensors[name] = torch.cat([tensors[name], rows])
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_pruned_models_without_some_blocks_and_with_ids_beyond_the_tokenizer(widened, tmp_path):
    removed = (1, 4)
    requests = [*TRACES[:8], *(Request(p, 30, (END,), HOT, 7) for p in PROMPTS[:8])]
    done = decode(Work(widened, IDS, LONGEST, [requests], removed), tmp_path / "scratch")
    found = dict(done.rounds[0])
    expected = by_transformers(widened, TRACES[:8], removed=removed)
    assert {request: found[request] for request in TRACES[:8]} == expected
    assert expected != by_transformers(REASONER, TRACES[:8])
    assert max(token for completion in found.values() for token in completion.tokens) < IDS
    assert done.folders_left == []
    everything = by_transformers(widened, TRACES[:1], vocabulary=64, removed=removed)
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
    mask = ["--mask", folder / "mask.safetensors", "--weights", folder / "weights.safetensors"]
    mask += ["--record", folder / "mask.json"]
    options = '{"method": "magnitude", "sparsity": 0.5}'
    magnitude = ["--options", options, "--allocation", allocation]
    build_mask.main([str(part) for part in ["--model", model, *magnitude, *mask]])
    problems = (PROJECT / "bundled/benchmarks/chains.jsonl").read_text().splitlines()
    (folder / "chains.jsonl").write_text("\n".join(problems[::24]) + "\n")
    return folder


def generated(experiment, engine):
    """Run the stage on the experiment; its traces and answers."""
    folder = experiment / engine
    (folder / "scratch").mkdir(parents=True)
    keys = {"engine": engine, "temperature": 0, "repeats": 1, "budgets": [6, 24, 72]}
    config = changed(*((("generation", key), value) for key, value in keys.items()))
    options = load_settings(config, PROJECT).generation_job("reasoner")
    stage = [
        *("--model", experiment / "reasoner", "--options", as_json(options)),
        *("--mask", experiment / "mask.safetensors"),
        *("--weights", experiment / "weights.safetensors"),
        *("--record", experiment / "mask.json"),
        *("--benchmarks", f"chains={experiment / 'chains.jsonl'}"),
        *("--store", folder / "store", "--output", folder),
        *("--provenance", folder / "generation.json"),
    ]
    command = [sys.executable, "-m", "workflow_scripts.generation.generate", *map(str, stage)]
    variables = {"PYTHONPATH": str(PROJECT), "TMPDIR": str(folder / "scratch")}
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
    provenance = json.loads((experiment / "vllm" / "generation.json").read_text())
    assert provenance["generator"]["engine"] == "vllm"
    assert [producer["engine"] for producer in provenance["producers"]] == ["vllm"]
    (base,) = (experiment / "vllm" / "scratch").glob("prunethink-*")
    assert [path.name for path in base.iterdir()] == ["lock"]
