"""What a sweep asks of an engine: how often, in which order, with which seeds and settings."""

from collections import deque
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generation.scripted import (
    EOS,
    GREEDY,
    OPEN,
    PROMPT,
    S1,
    STOP,
    THINK,
    WAIT,
    WARM,
    Engine,
    MemoryStore,
    drawing,
    scripted,
    sweep_of,
)
from workflow_scripts.generation.store.completions import Store
from workflow_scripts.generation.sweep import Sample, run_sweep

WAIT_2 = replace(S1, extend_with=WAIT, extensions=2)
WORDS = [1, 2, 3, 4, 5, 6, 7, 8, STOP]


def samples_of(prompts, repeats=1):
    return [Sample(f"p{i}", r, prompt) for i, prompt in enumerate(prompts) for r in range(repeats)]


def run(sweep, scripts, store=None, repeats=1):
    store, engine, starts = store or MemoryStore(), scripted(scripts), []
    samples = samples_of(scripts, repeats)
    run_sweep(sweep, samples, store, lambda: starts.append(1) or engine, lambda *_: None)
    return engine, len(starts), store, samples


def is_trace(request):
    return STOP in request.stop


def drawn(sweep, words=WORDS, repeats=1, prompts=(PROMPT, (5, OPEN)), store=None):
    """A sweep with an engine that draws: the engine, the store and the samples."""
    engine, store = drawing(words), store or MemoryStore()
    samples = samples_of(prompts, repeats)
    run_sweep(sweep, samples, store, lambda: engine, lambda *_: None)
    return engine, store, samples


def results(sweep, store, samples):
    """Cut and answer of every sample under every budget."""
    return {
        (sample, budget): (cut, store.get(sweep.answer_request(sample, trace, cut)))
        for sample in samples
        for trace in sweep.traces(sample, store.get)
        for budget, cut in sweep.cuts(trace).items()
    }


# how often


@pytest.mark.parametrize(("thinking", "answers"), [(S1, 4), (THINK, 3)])
def test_one_trace_serves_every_budget_and_equal_traces_share_an_answer(thinking, answers):
    engine, *_ = run(sweep_of([1, 2, 3, 10, 20], thinking), {PROMPT: [1, 2, 3, STOP]})
    assert [r.max_tokens for r in engine.asked if is_trace(r)] == [20]
    # budgets 1, 2 and 3 cut the trace, 10 and 20 leave it whole; at 3 it has all its tokens, and
    # the format think leads from there to the answer as from a trace that ended by itself
    assert sum(not is_trace(r) for r in engine.asked) == answers


def test_independent_budgets_have_traces_and_answers_of_their_own():
    script = {PROMPT: [1, 2, 3, STOP]}
    engine, _, store, samples = run(sweep_of([1, 2, 3, 10, 20], independent=True), script)
    assert sorted(r.max_tokens for r in engine.asked if is_trace(r)) == [1, 2, 3, 10, 20]
    assert sum(not is_trace(r) for r in engine.asked) == 5


def test_nothing_is_decoded_twice_and_no_engine_starts_for_nothing():
    scripts = {PROMPT: [1, 2, 3, STOP], (5, OPEN): [4, 4, 4, 4, 4, EOS]}
    first, starts, store, _ = run(sweep_of([2, 6]), scripts, repeats=2)
    assert starts == 1 and len(first.asked) == 2 * 2 + 2 * 4
    again, starts, *_ = run(sweep_of([2, 6], repeats=2), scripts, store, repeats=2)
    assert starts == 0 and again.asked == []
    more, *_ = run(sweep_of([2, 4, 6]), scripts, store, repeats=2)
    # at 4 tokens the first trace is whole, the second is cut anew in each repeat
    assert len(more.asked) == 2
    fewer, starts, *_ = run(sweep_of([2, 4]), scripts, store, repeats=2)
    assert starts == 0 and fewer.asked == []
    repeat, *_ = run(sweep_of([2, 4, 6]), scripts, store, repeats=3)
    assert len(repeat.asked) == 2 + 2 + 3


@pytest.mark.parametrize("independent", [False, True])
def test_a_run_that_broke_off_goes_on_where_it_was(tmp_path, independent):
    """The engine dies after n completions; what was finished is on disk, the rest follows."""
    scripts = {(i, OPEN): [1] * i + [STOP] for i in range(1, 9)}
    sweep = sweep_of([2, 4, 16], independent=independent)
    whole, *_ = run(sweep, scripts)

    class Dying(Engine):
        def generate(self, queue):
            for count, finished in enumerate(super().generate(queue)):
                if count == 7:
                    raise RuntimeError("killed")
                yield finished

    dying, store = Dying(scripted(scripts)._tokens_of), Store(tmp_path, {"weights": "w"})
    with pytest.raises(RuntimeError, match="killed"):
        run_sweep(sweep, samples_of(scripts), store, lambda: dying, lambda *_: None)
    store.close()
    store = Store(tmp_path, {"weights": "w"})
    rest, *_ = run(sweep, scripts, store)
    store.close()
    assert len(rest.asked) == len(whole.asked) - 7


@pytest.mark.parametrize("thinking", [THINK, WAIT_2])
@pytest.mark.parametrize("repeats", [1, 2])
def test_with_the_paper_s_seeds_independent_budgets_come_out_as_shared_ones(thinking, repeats):
    """Equal seeds draw equal tokens, so the largest budget's trace serves the others."""
    seeds = dict(seed=(7, 11)[:repeats], repeats=repeats)
    shared = sweep_of([2, 5, 9, 30], thinking, **seeds)
    independent = sweep_of([2, 5, 9, 30], thinking, independent=True, **seeds)
    once, once_store, samples = drawn(shared, repeats=repeats)
    each, each_store, _ = drawn(independent, repeats=repeats)
    assert results(shared, once_store, samples) == results(independent, each_store, samples)
    assert len(each.asked) == len(set(each.asked)) and set(each.asked) == set(once.asked)


def test_problems_with_one_prompt_and_the_paper_s_seeds_are_decoded_once():
    sweep = sweep_of([2, 9], seed=(7,))
    engine, store, samples = drawn(sweep, prompts=(PROMPT, PROMPT))
    assert len(engine.asked) == len(set(engine.asked))
    one, two = samples
    found = results(sweep, store, samples)
    assert [found[one, b] for b in (2, 9)] == [found[two, b] for b in (2, 9)]


# in which order


def test_an_answer_is_asked_for_as_soon_as_its_trace_has_ended():
    scripts = {(i, OPEN): [1, 1, STOP] for i in range(1, 4)}
    engine, *_ = run(sweep_of([8]), scripts)
    assert [is_trace(request) for request in engine.asked] == [True, False] * 3


def test_an_extension_is_asked_for_as_soon_as_its_trace_has_ended():
    scripts = {(i, OPEN): [i, STOP] for i in (1, 2)}
    scripts |= {(*prompt, prompt[0], *WAIT): [3, STOP] for prompt in scripts}
    engine = scripted(scripts)
    sweep = sweep_of([9], replace(S1, extend_with=WAIT, extensions=1))
    samples = samples_of([(1, OPEN), (2, OPEN)])
    run_sweep(sweep, samples, MemoryStore(), lambda: engine, lambda *_: None)
    phases = [(request.prompt[0], is_trace(request)) for request in engine.asked]
    assert phases == [(1, True), (1, True), (1, False), (2, True), (2, True), (2, False)]


# with which seeds and settings


def test_seeds_of_repeats_and_phases_differ_and_shared_budgets_have_them_in_common():
    engine, *_ = run(sweep_of([1, 8]), {PROMPT: [1, 2, STOP]}, repeats=2)
    traces = [r.seed for r in engine.asked if is_trace(r)]
    answers = [r.seed for r in engine.asked if not is_trace(r)]
    assert len(set(traces)) == 2 and len(set(answers)) == 2
    assert len(answers) == 4 and not set(traces) & set(answers)


def test_all_seeds_of_independent_budgets_differ():
    """Problems, repeats, budgets, phases and extensions: each request has a seed of its own."""
    budgets = [20, 30, 40]
    sweep = sweep_of(budgets, WAIT_2, independent=True, repeats=2)
    engine, store, samples = drawn(sweep, words=[1, 2, STOP], repeats=2)
    seeds = [request.seed for request in engine.asked]
    assert len(seeds) > 3 * 2 * len(samples) and len(set(seeds)) == len(seeds)
    shared, *_ = drawn(sweep_of(budgets, WAIT_2, repeats=2), words=[1, 2, STOP], repeats=2)
    assert not {r.seed for r in shared.asked} & set(seeds)


def test_extensions_have_seeds_of_their_own_and_the_first_is_the_trace_s():
    sweep = sweep_of([40], WAIT_2)
    engine, store, (sample, _) = drawn(sweep, words=[1, 2, STOP])
    seeds = [r.seed for r in engine.asked if is_trace(r) and r.prompt[:3] == PROMPT]
    assert len(seeds) == len(set(seeds)) == 3
    (trace,) = sweep.traces(sample, store.get)
    assert trace.seed == seeds[0]
    plain = next(sweep_of([40]).steps(sample, store.get)).request
    assert plain.seed == seeds[0]


@pytest.mark.parametrize(
    ("independent", "seeds"),
    [
        (
            False,
            [456891862260185620, 4899808075466068423, 5908123333693070352, 4645961054514428320],
        ),
        (
            True,
            [6898283937304297465, 2079226615297869768, 8146178153826090331, 963023312150143543],
        ),
    ],
)
def test_seeds_keep_their_values(independent, seeds):
    """Written down once: another value would silently change every sample of every experiment."""
    engine, sample = drawing([1, 2, STOP]), Sample("chains-001", 2, PROMPT)
    sweep = sweep_of([64], WAIT_2, independent=independent)
    run_sweep(sweep, [sample], MemoryStore(), lambda: engine, lambda *_: None)
    assert [request.seed for request in engine.asked] == seeds


@pytest.mark.parametrize("independent", [False, True])
def test_the_paper_s_seeds_are_given_as_they_are_to_every_request_of_a_repeat(independent):
    sweep = sweep_of([5, 20], WAIT_2, seed=(7, 11, 42), repeats=3, independent=independent)
    prompts = (PROMPT, (5, OPEN))
    engine, store, samples = drawn(sweep, words=[1, 2, STOP], repeats=3, prompts=prompts)
    assert {request.seed for request in engine.asked} == {7, 11, 42}
    for sample in samples:
        requests = [step.request for step in sweep.steps(sample, store.get)]
        assert {r.seed for r in requests} == {(7, 11, 42)[sample.repeat]}
        assert any(is_trace(r) for r in requests) and not all(is_trace(r) for r in requests)


def test_traces_and_answers_are_sampled_as_each_is_told():
    engine, *_ = drawn(sweep_of([5, 20], WAIT_2, answer_sampling=GREEDY))
    assert {(is_trace(r), r.sampling) for r in engine.asked} == {(True, WARM), (False, GREEDY)}
    assert {r.max_tokens for r in engine.asked if not is_trace(r)} == {4}


def test_answers_may_end_where_the_context_does():
    """The trace of 20 tokens leaves the answer 3 of 27 tokens, the one of 4 leaves enough."""
    sweep = sweep_of([4, 20], answer_tokens=8, context=27)
    engine, *_ = run(sweep, {PROMPT: [1] * 30})
    caps = {len(r.prompt): r.max_tokens for r in engine.asked if not is_trace(r)}
    assert caps == {len(PROMPT) + 4 + 1: 8, len(PROMPT) + 20 + 1: 3}


def test_the_order_of_stop_tokens_does_not_change_a_request():
    requests = [
        next(sweep_of([5], replace(THINK, stop=stop)).steps(Sample("p", 0, PROMPT), lambda _: None))
        for stop in [(STOP, 96), (96, STOP), (96, STOP, EOS)]
    ]
    assert requests[0].request.stop == (STOP, 96, EOS) and len(set(requests)) == 1


# what is left


SWEEPS = st.builds(
    lambda budgets, extensions, **changes: sweep_of(
        sorted(budgets), replace(WAIT_2, extensions=extensions), **changes
    ),
    budgets=st.sets(st.integers(1, 30), min_size=1, max_size=5),
    extensions=st.integers(0, 2),
    independent=st.booleans(),
    seed=st.sampled_from([0, (7, 11)]),
)
MORE_WORDS = st.lists(st.sampled_from([1, 2, 3, STOP, EOS]), min_size=2, max_size=8)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(sweep=SWEEPS, words=MORE_WORDS, stored=st.integers(0, 30))
def test_what_may_be_left_is_never_too_little_and_exact_once_all_traces_have_ended(
    sweep, words, stored
):
    engine, store = drawing(words), MemoryStore()
    samples = samples_of([PROMPT, (5, OPEN)], repeats=2)
    start_with_some_completions(sweep, samples, store, words, stored)
    told = []
    run_sweep(sweep, samples, store, lambda: engine, lambda *left: told.append(left))
    last = max((i for i, request in enumerate(engine.asked) if is_trace(request)), default=-1)
    for i, (request, (tokens, most_left)) in enumerate(zip(engine.asked, told, strict=True)):
        left = len(engine.asked) - i - 1
        assert tokens == len(store.get(request).tokens)
        assert most_left == left if i >= last else most_left >= left
    first = {request for request in engine.asked if is_trace(request)}
    bound = len(samples) * len(sweep.settings.budgets) * (2 + sweep.thinking.extensions)
    assert not first or told[0][1] < bound


def start(request):
    return replace(request, max_tokens=0)


def start_with_some_completions(sweep, samples, store, words, count):
    """Let an engine die after some completions."""

    class Dying(Engine):
        def generate(self, queue: deque):
            for position, finished in enumerate(super().generate(queue)):
                if position == count:
                    return
                yield finished

    engine = Dying(drawing(words)._tokens_of)
    run_sweep(sweep, samples, store, lambda: engine, lambda *_: None)
