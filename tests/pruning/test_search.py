"""The search by itself, on states whose scores are a formula."""

import itertools
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.artefacts import rows_done
from workflow_scripts.artefacts.rows_done import RowsDone
from workflow_scripts.config.search import Search
from workflow_scripts.pruning.search import State, evolve, swaps

SMALL = Search(offspring=6, survivors=(3, 1), tokens=(10, 40))
START = [(0,) * 6]


def flipped(state: State, draw: random.Random) -> State:
    changed = list(state)
    for place in draw.sample(range(len(state)), swaps(draw)):
        changed[place] = 1 - changed[place]
    return tuple(changed)


def value(state: State) -> float:
    """Least at 101101, and not by one bit after another."""
    wrong = sum(a != b for a, b in zip(state, (1, 0, 1, 1, 0, 1), strict=True))
    return wrong + (2.5 if wrong % 2 else 0)


def exactly(states: Sequence[State], tokens: int, draw: random.Random) -> list[float]:
    return [value(state) for state in states]


def noisily(states: Sequence[State], tokens: int, draw: random.Random) -> list[float]:
    return [value(state) + draw.gauss(0, 3 / math.sqrt(tokens)) for state in states]


@given(st.integers(0, 2**32 - 1))
def test_it_finds_the_best_of_a_small_space(seed: int) -> None:
    best = min(itertools.product((0, 1), repeat=6), key=value)
    search = SMALL.model_copy(update={"seed": seed})
    assert evolve(search, 60, START, flipped, exactly) == best


def test_rounds_are_of_the_sizes_and_on_the_tokens_asked_for() -> None:
    seen: list[tuple[int, int]] = []

    def noted(states: Sequence[State], tokens: int, draw: random.Random) -> list[float]:
        assert len(set(states)) == len(states)
        seen.append((len(states), tokens))
        return exactly(states, tokens, draw)

    evolve(SMALL, 2, [(0,) * 6, (1,) * 6], flipped, noted)
    assert seen == [(2, 10), *[(6, 10), (4, 40)] * 2]
    assert list(SMALL.rounds(1000)) == [(6, 10), (4, 40)]
    assert list(SMALL.rounds(20)) == [(6, 10), (4, 20)]


def test_the_parent_stays_among_equals_and_no_number_never_wins() -> None:
    def flat(states: Sequence[State], *about: object) -> list[float]:
        return [1.0 for _ in states]

    def broken(states: Sequence[State], *about: object) -> list[float]:
        return [1.0 if state == START[0] else math.nan for state in states]

    assert evolve(SMALL, 5, START, flipped, flat) == START[0]
    assert evolve(SMALL, 5, START, flipped, broken) == START[0]


def test_a_space_with_fewer_states_than_offspring_ends() -> None:
    def two(state: State, draw: random.Random) -> State:
        return (draw.randint(0, 1),)

    def size(states: Sequence[State], *about: object) -> list[float]:
        return [float(state[0]) for state in states]

    assert evolve(SMALL, 3, [(1,)], two, size) == (0,)


def test_the_seed_decides() -> None:
    def run(seed: int) -> State:
        search = SMALL.model_copy(update={"seed": seed})
        return evolve(search, 2, START, flipped, noisily)

    assert run(3) == run(3)
    assert len({run(seed) for seed in range(8)}) > 1


@pytest.mark.parametrize("killed", range(7))
def test_a_search_that_ended_early_goes_on_with_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: int
) -> None:
    monkeypatch.setattr(rows_done, "TIMES", 0)
    calls = itertools.count()

    def stopping(at: int) -> Callable:
        def measure(states: Sequence[State], tokens: int, draw: random.Random) -> list[float]:
            if next(calls) == at:
                raise KeyboardInterrupt
            return noisily(states, tokens, draw)

        return measure

    def again(measure: Callable) -> State:
        return evolve(SMALL, 3, START, flipped, measure, RowsDone(tmp_path / "output", "request"))

    whole = evolve(SMALL, 3, START, flipped, noisily)
    with pytest.raises(KeyboardInterrupt):
        again(stopping(killed))  # in generation (killed + 1) // 2
    calls = itertools.count()
    assert again(stopping(-1)) == whole
    assert next(calls) == 7 - max(0, 2 * ((killed + 1) // 2) - 1)


def test_progress_says_what_is_left(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(0, 6.0)
    monkeypatch.setattr("workflow_scripts.pruning.search.time.monotonic", lambda: next(clock))
    evolve(SMALL, 4, START, flipped, lambda states, *about: [0.25] * len(states))
    assert capsys.readouterr().err.splitlines() == [
        "generation 2 of 4, best 0.25, about 0:00:12 left",
        "generation 4 of 4, best 0.25",
    ]
