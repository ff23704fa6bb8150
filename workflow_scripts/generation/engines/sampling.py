"""Drawing one token from logits, from a random stream that belongs to one request alone."""

import hashlib
import json
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
    if sampling.top_k or sampling.top_p < 1:
        weights = np.where(_kept(weights, sampling), weights, 0.0)
    cumulative = np.cumsum(weights)
    token = int(np.searchsorted(cumulative, stream.draw() * cumulative[-1], side="right"))
    # rounding in the product can reach the very end of the table, where a zero weight may stand
    return min(token, int(np.flatnonzero(weights)[-1]))


def _kept(weights: np.ndarray, sampling: Sampling) -> np.ndarray:
    order = np.argsort(-weights, kind="stable")
    if sampling.top_k:
        order = order[: sampling.top_k]
    before = np.cumsum(weights[order]) - weights[order]
    order = order[before < sampling.top_p * weights[order].sum()]
    kept = np.zeros(len(weights), dtype=bool)
    kept[order] = True
    return kept
