"""Thinking several times instead of longer: pass@k and majority@k from the repeats of a problem."""

from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import comb


def pass_at_k(correct: NDArray, k: int) -> NDArray:
    """For each problem, the chance that at least one of k of its repeats is right.

    `correct` has shape (problems, repeats), k is at most the repeats. Over all choices of k
    repeats, which is unbiased: 1 - C(r - c, k) / C(r, k) (Chen et al., arXiv 2107.03374).
    """
    answers = np.asarray(correct, dtype=int)
    repeats = answers.shape[-1]
    return 1 - comb(repeats - answers.sum(axis=-1), k) / comb(repeats, k)


def majority_at_every_k(correct: Sequence[bool], extracted: Sequence[str | None]) -> NDArray:
    """The chance that the commonest answer among k repeats of one problem is right.

    Shape (repeats,), for k = 1, 2, ... Over all choices of k repeats, counted and not drawn.
    Correct answers are one answer however they are written; where nothing was extracted there is no
    vote; a tie is decided by lot. Wrong answers are told apart as they are written: one that is
    written in two ways has its votes split, so that the chance is an upper bound where answers are
    expressions.
    """
    right = sum(correct)
    votes = Counter(
        text for text, good in zip(extracted, correct, strict=True) if not good and text is not None
    )
    return np.array(_majorities(right, tuple(sorted(votes.values())), len(correct)))


@cache  # few problems differ in how their repeats agree
def _majorities(right: int, votes: tuple[int, ...], repeats: int) -> tuple[float, ...]:
    silent = repeats - right - sum(votes)
    won = np.zeros(repeats + 1)  # by k, over how many votes the right answer has
    for most in range(1, right + 1):
        others = _others(votes, silent, most)
        won[most : most + len(others)] += comb(right, most) * others
    return tuple(float(ways / comb(repeats, k)) for k, ways in enumerate(won[1:], 1))


def _others(votes: tuple[int, ...], silent: int, most: int) -> NDArray:
    """Ways to pick 0, 1, ... of the other repeats so that no answer has more than `most` votes.

    A way in which m answers tie with the right one counts 1 / (m + 1). `ways[m, n]` holds the ways
    to pick n repeats of the answers so far with m of them at `most`. Answers with fewer votes can
    be picked freely, as those repeats can that have none.
    """
    free = silent + sum(count for count in votes if count < most)
    contenders = [count for count in votes if count >= most]
    repeats = free + sum(contenders)
    ways = np.zeros((len(contenders) + 1, repeats + 1))
    ways[0] = comb(free, np.arange(repeats + 1))
    for count in contenders:
        after = np.zeros_like(ways)
        for votes_for in range(most + 1):
            tie = int(votes_for == most)
            kept = ways[: len(ways) - tie, : repeats + 1 - votes_for]
            after[tie:, votes_for:] += comb(count, votes_for) * kept
        ways = after
    return (ways / np.arange(1, len(ways) + 1)[:, np.newaxis]).sum(axis=0)
