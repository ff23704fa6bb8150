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


def majority_at_k(correct: Sequence[bool], extracted: Sequence[str | None], k: int) -> float:
    """The chance that the commonest answer among k repeats of one problem is right.

    Over all choices of k repeats, counted and not drawn. Correct answers are one answer however
    they are written; where nothing was extracted there is no vote; a tie is decided by lot.
    """
    right = sum(correct)
    votes = Counter(
        text for text, good in zip(extracted, correct, strict=True) if not good and text is not None
    )
    return _majority(right, tuple(sorted(votes.values())), len(correct), k)


@cache  # few problems differ in how their repeats agree
def _majority(right: int, votes: tuple[int, ...], repeats: int, k: int) -> float:
    silent = repeats - right - sum(votes)
    won = sum(
        comb(right, most) * _others(votes, silent, k - most, most)
        for most in range(1, min(right, k) + 1)
    )
    return float(won / comb(repeats, k))


def _others(votes: tuple[int, ...], silent: int, picked: int, most: int) -> float:
    """Ways to pick `picked` of the other repeats so that no answer has more than `most` votes.

    A way in which m answers tie with the right one counts 1 / (m + 1). `ways[m, n]` holds the ways
    to pick n repeats of the answers so far with m of them at `most`.
    """
    ways = np.zeros((len(votes) + 1, picked + 1))
    ways[0] = comb(silent, np.arange(picked + 1))
    for count in votes:
        after = np.zeros_like(ways)
        for votes_for in range(min(count, most, picked) + 1):
            tie = int(votes_for == most)
            kept = ways[: len(ways) - tie, : picked + 1 - votes_for]
            after[tie:, votes_for:] += comb(count, votes_for) * kept
        ways = after
    return float((ways[:, picked] / np.arange(1, len(ways) + 1)).sum())
