"""The token flow of a sweep, with a scripted engine that replays given tokens."""

import pytest

from workflow_scripts.generation.engine import Completion
from workflow_scripts.generation.sampling import Sampling
from workflow_scripts.generation.store import Store
from workflow_scripts.generation.sweep import Sample, Sweep, SweepSettings, run_sweep
from workflow_scripts.generation.thinking import Cut, ThinkingFormat, cut_trace

OPEN, STOP, AFTER_STOP, AFTER_CAP, EOS = 90, 91, 92, 93, 99
THINKING = ThinkingFormat(
    open=(OPEN,), stop=STOP, after_stop=(AFTER_STOP,), after_cap=(AFTER_CAP, 94), end_of_turn=(EOS,)
)
GREEDY = Sampling(temperature=0.0, top_p=1.0, top_k=0)
PROMPT = (7, 8, OPEN)


class ScriptedEngine:
    """Traces follow the script of their prompt; every answer is one token, 50 + trace length."""

    def __init__(self, scripts):
        self.scripts = scripts
        self.asked = []

    def generate(self, queue):
        while queue:
            request = queue.popleft()
            self.asked.append(request)
            yield request, self.complete(request)

    def complete(self, request):
        if STOP not in request.stop:
            return Completion((50 + len(request.prompt) - len(PROMPT),), EOS)
        script = self.scripts[request.prompt]
        for i, token in enumerate(script[: request.max_tokens]):
            if token in request.stop:
                return Completion(tuple(script[:i]), token)
        return Completion(tuple(script[: request.max_tokens]), None)


def sweep_of(budgets, repeats=1):
    settings = SweepSettings(tuple(budgets), repeats, answer_tokens=4, sampling=GREEDY, seed=0)
    return Sweep(settings, THINKING)


def run(store_folder, sweep, scripts, repeats=1):
    samples = [
        Sample(f"p{i}", r, prompt) for i, prompt in enumerate(scripts) for r in range(repeats)
    ]
    store = Store(store_folder, {"weights": "w"})
    engine = ScriptedEngine(scripts)
    starts = []
    run_sweep(sweep, samples, store, lambda: starts.append(1) or engine, lambda *_: None)
    store.close()
    return samples, store, engine, len(starts)


#         trace script            budget   tokens that stay   finish
CUTS = [
    ([1, 2, 3, STOP], 5, (1, 2, 3), "stop"),
    ([1, 2, 3, STOP], 4, (1, 2, 3), "stop"),
    ([1, 2, 3, STOP], 3, (1, 2, 3), "length"),  # no token left for the delimiter
    ([1, 2, 3, STOP], 1, (1,), "length"),
    ([1, 2, EOS], 5, (1, 2), "eos"),
    ([1, 2, EOS], 2, (1, 2), "length"),
    ([STOP], 5, (), "stop"),
    ([EOS], 1, (), "eos"),
    ([1, 2, 3, 4, 5, 6, 7], 5, (1, 2, 3, 4, 5), "length"),
    ([1, 2, 3, 4, 5, 6, 7], 2, (1, 2), "length"),
]


@pytest.mark.parametrize(("script", "budget", "tokens", "finish"), CUTS)
def test_a_cut_is_what_the_smaller_budget_would_have_drawn(
    tmp_path, script, budget, tokens, finish
):
    """Once cut from a trace of at most 5 tokens, once drawn under the budget itself."""
    largest = ScriptedEngine({PROMPT: script})
    request = sweep_of([5]).trace_request(Sample("p0", 0, PROMPT))
    assert cut_trace(largest.complete(request), budget, THINKING) == Cut(tokens, finish)
    drawn = largest.complete(sweep_of([budget]).trace_request(Sample("p0", 0, PROMPT)))
    assert cut_trace(drawn, budget, THINKING) == Cut(tokens, finish)


def test_the_answer_follows_the_marker_of_how_the_trace_ended(tmp_path):
    sweep = sweep_of([2, 5])
    _, _, engine, _ = run(tmp_path, sweep, {PROMPT: [1, 2, 3, STOP]})
    answers = {r.prompt for r in engine.asked if STOP not in r.stop}
    assert answers == {
        (*PROMPT, 1, 2, AFTER_CAP, 94),
        (*PROMPT, 1, 2, 3, AFTER_STOP),
    }


def test_one_trace_serves_every_budget_and_equal_traces_share_an_answer(tmp_path):
    sweep = sweep_of([1, 2, 3, 10, 20])
    samples, store, engine, _ = run(tmp_path, sweep, {PROMPT: [1, 2, 3, STOP]})
    traces = [r for r in engine.asked if STOP in r.stop]
    assert [r.max_tokens for r in traces] == [20]
    # budgets 1, 2 and 3 cut the trace, 10 and 20 leave it whole
    assert len(engine.asked) - len(traces) == 4
    cuts = sweep.cuts(store.get(traces[0]))
    assert all(store.get(sweep.answer_request(samples[0], cut)) for cut in cuts.values())


def test_nothing_is_decoded_twice_and_no_engine_starts_for_nothing(tmp_path):
    scripts = {PROMPT: [1, 2, 3, STOP], (5, OPEN): [4, 4, 4, 4, 4, EOS]}
    *_, first, starts = run(tmp_path, sweep_of([2, 6]), scripts, repeats=2)
    assert starts == 1 and len(first.asked) == 2 * 2 + 2 * 4
    *_, again, starts = run(tmp_path, sweep_of([2, 6]), scripts, repeats=2)
    assert starts == 0 and again.asked == []
    *_, smaller, starts = run(tmp_path, sweep_of([2, 4, 6]), scripts, repeats=2)
    # at 4 tokens the first trace is whole, the second is cut anew in each repeat
    assert starts == 1 and len(smaller.asked) == 2
    *_, repeat, _ = run(tmp_path, sweep_of([2, 4, 6]), scripts, repeats=3)
    assert len(repeat.asked) == 2 + 2 + 3


def test_a_run_that_broke_off_goes_on_where_it_was(tmp_path):
    """The engine dies after n completions; what was finished is on disk, the rest follows."""
    scripts = {(i, OPEN): [1] * i + [STOP] for i in range(1, 9)}
    sweep = sweep_of([2, 4, 16])
    *_, whole, _ = run(tmp_path / "whole", sweep, scripts)

    class Dying(ScriptedEngine):
        def generate(self, queue):
            for count, finished in enumerate(super().generate(queue)):
                if count == 7:
                    raise RuntimeError("killed")
                yield finished

    samples = [Sample(f"p{i}", 0, prompt) for i, prompt in enumerate(scripts)]
    store = Store(tmp_path / "broken", {"weights": "w"})
    with pytest.raises(RuntimeError, match="killed"):
        run_sweep(sweep, samples, store, lambda: Dying(scripts), lambda *_: None)
    *_, rest, _ = run(tmp_path / "broken", sweep, scripts)
    assert len(rest.asked) == len(whole.asked) - 7


def test_an_answer_is_asked_for_as_soon_as_its_trace_has_ended(tmp_path):
    scripts = {(i, OPEN): [1, 1, STOP] for i in range(1, 4)}
    *_, engine, _ = run(tmp_path, sweep_of([8]), scripts)
    phases = ["trace" if STOP in request.stop else "answer" for request in engine.asked]
    assert phases == ["trace", "answer"] * 3


def test_seeds_of_repeats_and_phases_differ_and_budgets_share_them(tmp_path):
    *_, engine, _ = run(tmp_path, sweep_of([1, 8]), {PROMPT: [1, 2, STOP]}, repeats=2)
    seeds = {}
    for request in engine.asked:
        seeds.setdefault(STOP in request.stop, []).append(request.seed)
    assert len(set(seeds[True])) == 2 and len(set(seeds[False])) == 2
    assert len(seeds[False]) == 4 and not set(seeds[True]) & set(seeds[False])
