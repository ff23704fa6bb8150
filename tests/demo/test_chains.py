"""The demo task against plain arithmetic, and the two sides of its split."""

import random
import re
from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.demo.chains import (
    HELD_OUT_SHARE,
    MAX_OPERATIONS,
    STEP_TOKENS,
    Chain,
    apply_operation,
    benchmark_problems,
    is_held_out,
    question,
    trace_and_answer,
    training_example,
    training_problems,
)


def examples(count, seed=0):
    rng = random.Random(seed)
    return [training_example(rng) for _ in range(count)]


def parse(text):
    """A chain read back from its question, by other means than the module's."""
    assert re.fullmatch(r"\d([-+*]\d)*=\?", text)
    return Chain(tuple(int(d) for d in re.findall(r"\d", text)), "".join(re.findall("[-+*]", text)))


def full_trace(text):
    return trace_and_answer(parse(text))[0]


def plain_answer(text):
    """The last digit of one big integer; modulo 10 at every step or at the end is the same."""
    parts = re.findall(r"[-+*]|\d", text)
    value = int(parts[0])
    for sign, digit in zip(parts[1::2], parts[2::2], strict=True):
        value = {"+": value + int(digit), "-": value - int(digit), "*": value * int(digit)}[sign]
    return str(value % 10)


@st.composite
def chains(draw):
    operations = draw(st.text("+-*", min_size=1, max_size=MAX_OPERATIONS))
    size = len(operations) + 1
    return Chain(tuple(draw(st.lists(st.integers(0, 9), min_size=size, max_size=size))), operations)


@given(chains())
def test_trace_works_the_question_out_step_by_step(chain):
    trace, answer = trace_and_answer(chain)
    assert parse(question(chain)) == chain
    assert len(trace) == STEP_TOKENS * len(chain.operations)
    steps = re.findall(r"(\d)([-+*])(\d)=(\d);", trace)
    assert "".join(f"{a}{sign}{b}={c};" for a, sign, b, c in steps) == trace
    assert "".join(sign for _, sign, _, _ in steps) == chain.operations
    assert [int(b) for _, _, b, _ in steps] == list(chain.digits[1:])
    # every step takes up where the one before it ended
    assert [a for a, *_ in steps] == [str(chain.digits[0]), *(c for *_, c in steps[:-1])]
    assert all(plain_answer(f"{a}{sign}{b}=?") == c for a, sign, b, c in steps)
    assert answer == steps[-1][3] == plain_answer(question(chain))


def test_there_is_no_precedence():
    chain = Chain((7, 2, 5, 3), "+*-")
    assert question(chain) == "7+2*5-3=?"
    assert trace_and_answer(chain) == ("7+2=9;9*5=5;5-3=2;", "2")


def test_unknown_operation_is_refused():
    with pytest.raises(ValueError, match="'/' is none of"):
        apply_operation(4, "/", 2)


def test_benchmark_is_held_out_even_and_without_repeats():
    problems = benchmark_problems(240, 0)
    assert len({p.id for p in problems}) == len({p.question for p in problems}) == 240
    assert all(is_held_out(p.question) for p in problems)
    assert all(p.answer == plain_answer(p.question) and p.kind == "integer" for p in problems)
    lengths = Counter(len(parse(p.question).operations) for p in problems)
    assert set(lengths) == set(range(2, 13))
    assert max(lengths.values()) - min(lengths.values()) <= 1


def test_problems_to_answer_before_are_of_the_other_side():
    problems = training_problems(240, 0)
    assert not any(is_held_out(p.question) for p in problems)
    assert len({p.question for p in problems}) == 240
    assert all(p.answer == plain_answer(p.question) for p in problems)


def test_benchmark_without_repeats_even_where_the_side_is_nearly_spent():
    # 500 of about 1,125 held-out questions of two operations: repeats are drawn for certain
    problems = benchmark_problems(5500, 1)
    assert len({p.question for p in problems}) == 5500


def test_training_never_meets_the_held_out_side():
    assert not any(is_held_out(e.question) for e in examples(3000))


def test_sides_share_all_questions_of_two_operations_as_stated():
    held_out = sum(
        is_held_out(question(Chain((a, b, c), x + y)))
        for a, b, c in product(range(10), repeat=3)
        for x, y in product("+-*", repeat=2)
    )
    # a fair split of 9,000 has a standard deviation of 31
    assert abs(held_out - 9000 / HELD_OUT_SHARE) < 4 * 31.4


def test_training_examples_have_every_length_and_a_share_of_cut_traces():
    drawn = examples(3000)
    lengths = Counter(len(parse(e.question).operations) for e in drawn)
    assert set(lengths) == set(range(2, 13))
    assert min(lengths.values()) > 0.7 * 3000 / 11
    assert 0.27 < sum(e.cut for e in drawn) / 3000 < 0.33
    for example in drawn:
        whole = full_trace(example.question)
        assert example.answer == plain_answer(example.question)
        assert whole.startswith(example.trace)
        assert (len(example.trace) < len(whole)) == example.cut
    assert {len(e.trace) % STEP_TOKENS for e in drawn if e.cut} == set(range(STEP_TOKENS))


def test_same_seed_same_draws():
    assert examples(50, seed=3) == examples(50, seed=3)
    assert examples(50, seed=3) != examples(50, seed=4)
    assert benchmark_problems(30, 3) == benchmark_problems(30, 3)
    assert benchmark_problems(30, 3) != benchmark_problems(30, 4)


def test_completion_closes_the_trace_and_the_turn():
    example = next(e for e in examples(20) if not e.cut)
    assert example.completion == f"<think>{example.trace}</think>{example.answer}<|end|>"
    assert example.without_steps.completion == f"<think></think>{example.answer}<|end|>"
