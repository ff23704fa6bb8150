"""From options to a sweep, and whether its sequences fit into the model's context."""

import json
from dataclasses import replace

import pytest

from tests.generation.scripted import S1, THINK, WAIT, sweep_of
from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.generation import GenerationJob
from workflow_scripts.engines.sampling import Sampling
from workflow_scripts.errors import InputError
from workflow_scripts.generation.job import _longest_sequence, _sweep_settings
from workflow_scripts.generation.sweep import Sample, SweepSettings

OPTIONS = {
    "dtype": "float32",
    "format": "think",
    "thinking": {"open": "(", "stop": ")", "after_stop": ")", "after_cap": ")"},
    "budgets": [24, 6],
    "sweep": "shared",
    "repeats": 3,
    "seeding": "per-sample",
    "seed": 5,
    "temperature": 0.6,
    "top_p": 0.95,
    "top_k": 20,
    "answer_tokens": 8,
    "answer_sampling": {},
    "answer_beyond_context": "refuse",
}


def sweep_settings(options: dict, context: int) -> SweepSettings:
    return _sweep_settings(parser_of(GenerationJob)(json.dumps(options)), context)


def test_options_become_settings():
    warm = Sampling(0.6, 0.95, 20)
    assert sweep_settings(OPTIONS, 64) == SweepSettings((6, 24), 3, 8, warm, warm, 5, False)


def test_answers_are_sampled_as_traces_where_nothing_else_is_said():
    colder = sweep_settings(OPTIONS | {"answer_sampling": {"temperature": 0.0, "top_k": 0}}, 64)
    assert colder.sampling == Sampling(0.6, 0.95, 20)
    assert colder.answer_sampling == Sampling(0.0, 0.95, 0)


def test_independent_and_the_paper_s_seeds():
    changes = {"sweep": "independent", "seeding": "paper", "seed": [7, 11, 42]}
    found = sweep_settings(OPTIONS | changes, 64)
    assert (found.independent, found.seed) == (True, (7, 11, 42))


def test_answers_know_the_context_where_they_end_with_it():
    assert sweep_settings(OPTIONS, 64).context is None
    assert sweep_settings(OPTIONS | {"answer_beyond_context": "cut"}, 64).context == 64


def benchmarks(*lengths):
    return {"b": [Sample(f"p{n}", 0, (1,) * n) for n in lengths]}


# format, tokens of the longest sequence beside a prompt of 30, a budget of 9, an answer of 4
LONGEST = [
    (THINK, 1),
    (replace(THINK, after_stop=(1, 2, 3)), 3),
    (S1, 5),  # the newline and four
    (replace(S1, newline=()), 4),
    (replace(S1, extend_with=WAIT, extensions=3), 5),  # extensions stay within the budget
]


@pytest.mark.parametrize(("thinking", "marker"), LONGEST)
@pytest.mark.parametrize("independent", [False, True])
def test_the_longest_sequence_has_room_for_every_marker(thinking, marker, independent):
    sweep = sweep_of([3, 9], thinking, independent=independent)
    needed = 30 + 9 + marker + 4
    asked = {**benchmarks(10, 30), "short": benchmarks(2)["b"]}
    assert _longest_sequence(asked, sweep, needed) == needed
    with pytest.raises(InputError) as caught:
        _longest_sequence(asked, sweep, needed - 1)
    assert str(caught.value) == (
        "problem p30: its prompt of 30 tokens, the budget of 9 and an answer of 4, with what "
        f"stands between them, need {needed} tokens; the model's context is {needed - 1}: lower "
        "generation.budgets or generation.answer_tokens"
    )


@pytest.mark.parametrize(
    ("lengths", "line"),
    [
        (
            (64,),
            "problem p64: its prompt of 64 tokens fills the model's context of 64; leave the "
            "problem out or take another model",
        ),
        (
            (63,),
            "problem p63: its prompt of 63 tokens, the budget of 9 and an answer of 4, with what "
            "stands between them, need 77 tokens; the model's context is 64: lower "
            "generation.budgets or generation.answer_tokens",
        ),
    ],
)
def test_a_prompt_beyond_the_context_is_one_line(lengths, line):
    with pytest.raises(InputError) as caught:
        _longest_sequence(benchmarks(*lengths), sweep_of([9]), 64)
    assert str(caught.value) == line


def test_a_budget_beyond_the_context_is_one_line():
    with pytest.raises(InputError, match=r"^generation\.budgets: 64 tokens .*; set lower ones"):
        _longest_sequence(benchmarks(3), sweep_of([9, 64]), 64)


def test_answers_that_end_with_the_context_need_one_token():
    sweep = sweep_of([9], S1, context=45, answer_tokens=100)
    assert _longest_sequence(benchmarks(30), sweep, 45) == 45
    with pytest.raises(InputError, match="the budget of 9 and an answer of 1, with what .* 46 "):
        _longest_sequence(benchmarks(31), sweep, 45)
    roomy = sweep_of([9], S1, context=1000, answer_tokens=100)
    assert _longest_sequence(benchmarks(30), roomy, 1000) == 144
