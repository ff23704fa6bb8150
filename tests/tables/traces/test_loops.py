"""Loops of texts, found for every period: scripted ones, and held against a slow search."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.tables.traces.hashing import hashed
from workflow_scripts.tables.traces.loops import FILLED, Loop, longest, loops_of

PERIODS = [1, 2, 3, 7, 19, 20, 21, 59, 60, 61, 250, 1500]


def unit_of(period: int) -> str:
    """Text of one period, no part of which is periodic."""
    return "".join(chr(0x100 + number) for number in range(period))


def found(text: str, filled: int = FILLED) -> list[Loop]:
    return loops_of(hashed(text), filled)


def by_comparison(text: str, filled: int) -> list[Loop]:
    """Every run by comparing all characters at all distances."""
    loops: dict[tuple[int, int], Loop] = {}
    for period in range(1, len(text) // 3 + 1):
        start = 0
        while start < len(text) - period:
            end = start
            while end < len(text) - period and text[end] == text[end + period]:
                end += 1
            if end + period - start >= max(3 * period, filled):
                place = start, end + period
                loops.setdefault(place, Loop(*place, period))
            start = max(end, start + 1)
    return list(loops.values())


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("around", [("", ""), ("First: ", ""), ("First: ", " Then.")])
def test_a_loop_of_every_period_is_found_where_it_is(period, around):
    times = max(3, -(-FILLED // period))
    before, after = around
    text = before + unit_of(period) * times + after
    assert found(text) == [Loop(len(before), len(before) + period * times, period)]
    (loop,) = found(text)
    assert loop.times == times


@pytest.mark.parametrize("period", PERIODS)
def test_a_character_less_than_enough_is_none(period):
    times = max(3, -(-FILLED // period))
    enough = max(3 * period, FILLED)
    text = (unit_of(period) * times)[: enough - 1]
    assert found(text) == []
    assert found((unit_of(period) * times)[:enough]) == [Loop(0, enough, period)]


WAITING = "so far. " + "Wait, let me check. " * 5


@pytest.mark.parametrize(
    ("text", "ends_in_one"),
    [
        (WAITING, True), ("1" * 60, True), ("ab" * 30, True), ("\n\nSo?" * 12, True),
        ("", False), ("1" * 59, False), ("all good things come in threes, " * 2, False),
        ("7+3=0;0+6=6;", False), (WAITING + "No. It is 4.", False),
    ],
)  # fmt: skip
def test_a_loop_is_the_same_words_over_and_over_at_the_end(text, ends_in_one):
    assert any(loop.end == len(text) for loop in found(text)) == ends_in_one


@pytest.mark.parametrize("period", [20, 61, 250])
def test_a_change_in_every_repetition_is_no_loop(period):
    """Steps that are counted, say: "Step 1: check. Step 2: check."."""
    text = "".join(f"{unit_of(period)}{number}" for number in range(1000, 1020))
    assert found(text) == []


def test_a_loop_goes_on_into_a_part_of_its_period():
    (loop,) = found("ab" * 40 + "a")
    assert loop == Loop(0, 81, 2) and loop.times == 40.5


def test_a_loop_in_a_loop_and_one_after_another():
    inner = "-" * 70
    text = (inner + "so. ") * 4
    loops = found(text)
    assert {loop.period for loop in loops} == {1, 74}
    assert longest(loops) == Loop(0, 4 * 74, 74)
    two = "wait, " * 20 + "no. " + "hmm, " * 30
    assert [(loop.start, loop.period) for loop in found(two)] == [(123, 5), (0, 6)]
    assert longest(found(two)) == Loop(123, 274, 5)
    assert longest([]) is None


def test_what_a_cut_leaves_of_a_loop():
    (loop,) = found("Then " + "ab" * 50)
    assert loop.complete == 65
    assert loop.until(64) is None
    assert loop.until(65) == Loop(5, 65, 2)
    assert loop.until(1000) == loop


PIECES = st.text("ab", max_size=6) | st.builds(
    lambda unit, times: unit * times, st.text("abc", min_size=1, max_size=6), st.integers(2, 6)
)


@given(st.lists(PIECES, max_size=8).map("".join), st.sampled_from([3, 4, 6, 9, 21]))
def test_all_loops_of_any_text_are_those_of_a_slow_search(text, filled):
    def in_order(loops):
        return sorted(loops, key=lambda loop: (loop.period, loop.start))

    assert in_order(found(text, filled)) == in_order(by_comparison(text, filled))


@given(st.lists(PIECES, max_size=8).map("".join), st.data())
def test_loops_of_a_beginning_are_what_a_cut_leaves_of_those_of_the_whole(text, data):
    place = data.draw(st.integers(0, len(text)))
    places = {(one.start, one.end) for loop in loops_of(hashed(text), FILLED)
              if (one := loop.until(place))}  # fmt: skip
    assert places == {(loop.start, loop.end) for loop in found(text[:place])}
