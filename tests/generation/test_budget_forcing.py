"""The exact tokens of budget forcing through every branch, from an engine that replays a script."""

from collections import deque
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generation.scripted import (
    AFTER_CAP,
    AFTER_STOP,
    EOS,
    NEWLINE,
    NO_TEXT,
    OTHER_STOP,
    PROMPT,
    S1,
    STOP,
    STOP_AND_NEWLINE,
    THINK,
    WAIT,
    MemoryStore,
    drawing,
    scripted,
    sweep_of,
)
from workflow_scripts.generation.sweep import Sample, run_sweep
from workflow_scripts.generation.thinking import Cut, finish_of

SAMPLE = Sample("p", 0, PROMPT)
CAPPED = (NEWLINE, *AFTER_CAP)
TWO_STOPS = replace(S1, stop=(STOP, OTHER_STOP))
WAIT_1 = replace(S1, extend_with=WAIT, extensions=1)
WAIT_2 = replace(WAIT_1, extensions=2)
WAIT_IN_LINES = replace(WAIT_1, extend_with=(80, NEWLINE))

# format, budget, what the model writes in each round, the trace, its end, what leads to the answer
BRANCHES = {
    # the model ends its thinking, in time or not
    "early stop": (S1, 5, [[1, 2, 3, STOP]], (1, 2, 3), "stop", AFTER_STOP),
    "stop in the last place": (S1, 5, [[1, 2, 3, 4, STOP]], (1, 2, 3, 4), "stop", AFTER_STOP),
    "stop one too late": (S1, 5, [[1, 2, 3, 4, 5, STOP]], (1, 2, 3, 4, 5), "length", CAPPED),
    "stop after a newline": (S1, 5, [[1, NEWLINE, STOP]], (1, NEWLINE), "stop", AFTER_STOP),
    "empty trace": (S1, 5, [[STOP]], (), "stop", AFTER_STOP),
    "empty trace, budget of 1": (S1, 1, [[STOP]], (), "stop", AFTER_STOP),
    "end of turn": (S1, 5, [[1, 2, EOS]], (1, 2), "eos", AFTER_STOP),
    "end of turn at once": (S1, 5, [[EOS]], (), "eos", AFTER_STOP),
    "first of two stops": (TWO_STOPS, 5, [[1, STOP]], (1,), "stop", AFTER_STOP),
    "second of two stops": (TWO_STOPS, 5, [[1, OTHER_STOP]], (1,), "stop", AFTER_STOP),
    "a stop of another format": (S1, 3, [[1, OTHER_STOP, 2]], (1, OTHER_STOP, 2), "length", CAPPED),
    # the budget ends it
    "cap": (S1, 3, [[1, 2, 3, 4]], (1, 2, 3), "length", CAPPED),
    "cap after a newline": (S1, 2, [[1, NEWLINE, 2]], (1, NEWLINE), "length", AFTER_CAP),
    "cap after another token that ends in one": (
        S1, 2, [[1, STOP_AND_NEWLINE, 2]], (1, STOP_AND_NEWLINE), "length", AFTER_CAP,
    ),
    "cap after a newline and tokens without text": (
        S1, 4, [[NEWLINE, *[NO_TEXT] * 4]], (NEWLINE, *[NO_TEXT] * 3), "length", AFTER_CAP,
    ),
    "cap of a trace without text": (S1, 2, [[NO_TEXT] * 3], (NO_TEXT,) * 2, "length", CAPPED),
    "cap after an earlier newline": (S1, 2, [[NEWLINE, 1, 2]], (NEWLINE, 1), "length", CAPPED),
    "cap of a format without the newline": (THINK, 2, [[1, 2, 3]], (1, 2), "length", (STOP,)),
    # extensions
    "extended once": (WAIT_1, 9, [[1, STOP], [2, STOP]], (1, *WAIT, 2), "stop", AFTER_STOP),
    "extended twice": (
        WAIT_2, 9, [[1, STOP], [2, STOP], [3, STOP]],
        (1, *WAIT, 2, *WAIT, 3), "stop", AFTER_STOP,
    ),
    "no second extension once cut": (
        WAIT_2, 5, [[1, STOP], [2, 3, 4]], (1, *WAIT, 2, 3), "length", CAPPED,
    ),
    "extended after the end of the turn": (
        WAIT_1, 9, [[1, EOS], [2, STOP]], (1, *WAIT, 2), "stop", AFTER_STOP,
    ),
    "end of turn after an extension": (
        WAIT_1, 9, [[1, STOP], [2, EOS]], (1, *WAIT, 2), "eos", AFTER_STOP,
    ),
    "extension of an empty trace": (
        WAIT_1, 9, [[STOP], [1, STOP]], (*WAIT, 1), "stop", AFTER_STOP,
    ),
    "nothing after an extension": (WAIT_1, 9, [[1, STOP], [STOP]], (1, *WAIT), "stop", AFTER_STOP),
    "cap before any extension": (WAIT_1, 3, [[1, 2, 3, STOP]], (1, 2, 3), "length", CAPPED),
    "cap in an extension's round": (
        WAIT_1, 5, [[1, STOP], [2, 3, 4, 5]], (1, *WAIT, 2, 3), "length", CAPPED,
    ),
    "a round's stop one too late": (
        WAIT_1, 4, [[1, STOP], [2, STOP]], (1, *WAIT, 2), "length", CAPPED,
    ),
    "cap inside what is appended": (WAIT_1, 2, [[1, STOP]], (1, WAIT[0]), "length", CAPPED),
    "cap right after what is appended": (WAIT_1, 3, [[1, STOP]], (1, *WAIT), "length", CAPPED),
    "what is appended ends in a newline": (
        WAIT_IN_LINES, 3, [[1, STOP]], (1, 80, NEWLINE), "length", AFTER_CAP,
    ),
}  # fmt: skip


def prompts_of(rounds, thinking):
    """What each round goes on from; all that the engine may be asked beside the answer."""
    prompts, prompt = {}, PROMPT
    for script in rounds:
        prompts[prompt] = script
        prompt += (*script[:-1], *thinking.extend_with)
    return prompts


@pytest.mark.parametrize("name", BRANCHES)
def test_every_branch_to_the_token(name):
    thinking, budget, rounds, tokens, finish, marker = BRANCHES[name]
    scripts = prompts_of(rounds, thinking)
    engine, store, sweep = scripted(scripts), MemoryStore(), sweep_of([budget], thinking)
    run_sweep(sweep, [SAMPLE], store, lambda: engine, lambda *_: None)
    *thoughts, answer = engine.asked
    assert answer.prompt == (*PROMPT, *tokens, *marker)
    assert (answer.stop, answer.max_tokens) == ((EOS,), 4)
    assert [request.prompt for request in thoughts] == list(scripts)
    for request in thoughts:
        assert len(request.prompt) - len(PROMPT) + request.max_tokens == budget
        assert request.stop == (*thinking.stop, EOS)
    (trace,) = sweep.traces(SAMPLE, store.get)
    assert trace.completion.tokens == tokens and finish_of(trace.completion, thinking) == finish
    assert sweep.cuts(trace) == {budget: Cut(tokens, finish)}


@pytest.mark.parametrize("name", BRANCHES)
def test_a_trace_cut_to_a_smaller_budget_is_the_one_drawn_under_it(name):
    thinking, budget, rounds, *_ = BRANCHES[name]
    engine = scripted(prompts_of(rounds, thinking))
    assert_cuts_are_what_smaller_budgets_draw(engine, range(1, budget + 1), thinking)


FORMATS = st.builds(
    replace,
    st.sampled_from([S1, THINK, TWO_STOPS]),
    extend_with=st.lists(st.sampled_from([80, 81, NEWLINE]), min_size=1, max_size=3).map(tuple),
    extensions=st.integers(0, 3),
)
# the more of them end a trace, the sooner it ends
WORDS = st.lists(
    st.sampled_from([1, 2, 3, NEWLINE, STOP_AND_NEWLINE, NO_TEXT, STOP, OTHER_STOP, EOS]),
    min_size=3,
    max_size=20,
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(thinking=FORMATS, words=WORDS, budgets=st.sets(st.integers(1, 25), min_size=1, max_size=6))
def test_any_trace_cut_to_a_smaller_budget_is_the_one_drawn_under_it(thinking, words, budgets):
    assert_cuts_are_what_smaller_budgets_draw(drawing(words), budgets, thinking)


def assert_cuts_are_what_smaller_budgets_draw(engine, budgets, thinking):
    """Once all budgets in one shared sweep, once each budget in a sweep of its own."""
    budgets = sorted(budgets)
    shared = cuts_and_answers(engine, sweep_of(budgets, thinking))
    for budget in budgets:
        assert shared[budget] == cuts_and_answers(engine, sweep_of([budget], thinking))[budget]


def cuts_and_answers(engine, sweep):
    store = MemoryStore()
    run_sweep(sweep, [SAMPLE], store, lambda: engine, lambda *_: None)
    (trace,) = sweep.traces(SAMPLE, store.get)
    found = {}
    for budget, cut in sweep.cuts(trace).items():
        assert len(cut.tokens) <= budget
        request = sweep.answer_request(SAMPLE, trace, cut)
        found[budget] = (cut, request, store.get(request))
    return found


def test_the_scripted_engine_stops_as_an_engine_does():
    engine, queue = scripted({PROMPT: [1, 2, STOP]}), deque()
    request = next(sweep_of([3]).steps(SAMPLE, lambda _: None)).request
    queue += [request, replace(request, max_tokens=2)]
    ends = [(completion.tokens, completion.stopped_by) for _, completion in engine.generate(queue)]
    assert ends == [((1, 2), STOP), ((1, 2), None)]
