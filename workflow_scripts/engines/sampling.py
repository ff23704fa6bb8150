"""Drawing one token from logits, from a random stream that belongs to one request alone."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. `temperature` 0 is greedy; `top_p` 1 and `top_k` 0 are off."""

    temperature: float
    top_p: float
    top_k: int


def derive_seed(seed: int, problem: str, repeat: int, *place: str | int) -> int:
    """A seed in [0, 2^63) for one place in the sample of one problem and repeat.

    A place is a phase, `trace` or `answer`, and what tells it from others of that phase. It does
    not name the variant: variants are compared on common random numbers.
    """
    text = json.dumps([seed, problem, repeat, *place])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class UniformStream:
    """The uniform numbers in [0, 1) of one seed: 53-bit fractions of the Philox-4x64 bit stream.

    NumPy keeps the raw streams of its bit generators stable, not what `Generator` makes of them.
    """

    def __init__(self, seed: int) -> None:
        self._bits = np.random.Philox(key=seed)

    def draw(self) -> float:
        return (int(self._bits.random_raw()) >> 11) * 2.0**-53


def draw_token(logits: np.ndarray, sampling: Sampling, stream: UniformStream) -> int:
    """Draw a token id from logits (vocabulary,), by inverting the cumulative distribution.

    Probabilities are float64. `top_k` keeps the k largest logits, then `top_p` the smallest set of
    the largest probabilities that holds at least `top_p` of the rest (Holtzman et al., 2020); ties
    go to lower ids. Greedy takes nothing from the stream.
    """
    if sampling.temperature == 0:
        return int(np.argmax(logits))
    scaled = logits.astype(np.float64) / sampling.temperature
    weights = np.exp(scaled - scaled.max())
    ids: Sequence[int] | np.ndarray = range(len(weights))
    if sampling.top_k or sampling.top_p < 1:
        ids = _kept(weights, sampling)
        weights = weights[ids]
    cumulative = np.cumsum(weights)
    drawn = int(np.searchsorted(cumulative, stream.draw() * cumulative[-1], side="right"))
    if drawn == len(weights):  # rounding in the product has reached the end of the table
        drawn = int(np.flatnonzero(weights)[-1])
    return int(ids[drawn])


def _kept(weights: np.ndarray, sampling: Sampling) -> np.ndarray:
    """The ids that are kept, ascending. As few weights as possible are sorted, since there are many
    and most are tiny.
    """
    if sampling.top_k:
        last = max(len(weights) - sampling.top_k, 0)
        order = _by_weight(weights, np.partition(weights, last)[last])[: sampling.top_k]
        total = weights[order].sum()
    else:
        total = weights.sum()
        # all below this weight together are half of what is left out, or less
        order = _by_weight(weights, (1 - sampling.top_p) * total / (2 * len(weights)))
    sums = np.cumsum(weights[order])
    if not sampling.top_k and _is_close(sums, sampling.top_p * total):
        order = _by_weight(weights, 0.0)
        sums, total = np.cumsum(weights[order]), weights[order].sum()
    return np.sort(order[sums - weights[order] < sampling.top_p * total])


def _by_weight(weights: np.ndarray, least: float) -> np.ndarray:
    """Ids of the weights from `least` on, the largest first; ties go to lower ids."""
    ids = np.flatnonzero(weights >= least)
    return ids[np.argsort(-weights[ids], kind="stable")]


def _is_close(sums: np.ndarray, limit: float) -> bool:
    """Whether the order in which a limit was summed may decide where sums reach it."""
    return bool(sums[-1] < limit or (abs(sums - limit) < 1e-9 * limit).any())
