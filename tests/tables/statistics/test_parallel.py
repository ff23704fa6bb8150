"""pass@k and majority@k against every choice of k repeats, one by one."""

import itertools
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.tables.statistics.parallel import majority_at_every_k, pass_at_k

REPEATS = st.lists(
    st.one_of(st.just("right"), st.none(), st.sampled_from("abc")), min_size=1, max_size=7
)


def commonest(chosen) -> float:
    """The chance that the winner among some votes is right, ties decided by lot."""
    votes = Counter(vote for vote in chosen if vote is not None)
    if not votes:
        return 0.0
    winners = [vote for vote, count in votes.items() if count == max(votes.values())]
    return ("right" in winners) / len(winners)


@given(REPEATS, st.data())
def test_majority_is_the_mean_over_all_choices(votes, data):
    k = data.draw(st.integers(1, len(votes)))
    expected = np.mean([commonest(chosen) for chosen in itertools.combinations(votes, k)])
    correct = [vote == "right" for vote in votes]
    # what a right answer's text is does not matter
    texts = [
        f"{n}" if good else vote for n, (vote, good) in enumerate(zip(votes, correct, strict=True))
    ]
    assert majority_at_every_k(correct, texts)[k - 1] == pytest.approx(expected)


@given(REPEATS, st.data())
def test_pass_is_the_share_of_choices_with_a_right_one(votes, data):
    k = data.draw(st.integers(1, len(votes)))
    choices = list(itertools.combinations(votes, k))
    expected = np.mean(["right" in chosen for chosen in choices])
    correct = np.array([[vote == "right" for vote in votes]])
    assert pass_at_k(correct, k) == pytest.approx([expected])


@given(REPEATS)
def test_of_one_repeat_both_are_the_accuracy(votes):
    correct = [vote == "right" for vote in votes]
    assert majority_at_every_k(correct, votes)[0] == pytest.approx(np.mean(correct))
    assert pass_at_k(np.array([correct]), 1)[0] == pytest.approx(np.mean(correct))


def test_many_repeats_are_counted_in_no_time():
    correct = [True] * 30 + [False] * 34
    texts = [None] * 30 + [str(n % 5) for n in range(34)]
    # 30 of 64 against at most 7 for any other answer
    assert majority_at_every_k(correct, texts)[31] == pytest.approx(1.0, abs=1e-4)
    random = np.random.default_rng(0)
    started = time.process_time()
    for chance in random.beta(0.5, 0.5, 200):
        good = random.random(64) < chance
        majorities = majority_at_every_k(good, [str(random.integers(30)) for _ in good])
        assert majorities.shape == (64,) and 0 <= majorities.min() <= majorities.max() <= 1 + 1e-9
    assert (
        time.process_time() - started < 10
    )  # several times that where each k is counted by itself
