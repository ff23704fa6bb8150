"""Drawing tokens: against a slow reference, and from streams that stay what they are."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scripts.engines.sampling import (
    Sampling,
    UniformStream,
    derive_seed,
    draw_token,
)


class FixedStream:
    def __init__(self, value):
        self.value = value

    def draw(self):
        return self.value


def reference_draw(logits, sampling, u):
    """The definition, one probability at a time."""
    if sampling.temperature == 0:
        return min(range(len(logits)), key=lambda i: (-logits[i], i))
    top = max(logits)
    weights = [math.exp((x - top) / sampling.temperature) for x in logits]
    ranked = sorted(range(len(weights)), key=lambda i: (-weights[i], i))
    if sampling.top_k:
        ranked = ranked[: sampling.top_k]
    total, kept, so_far = sum(weights[i] for i in ranked), [], 0.0
    for i in ranked:
        if so_far >= sampling.top_p * total:
            break
        kept.append(i)
        so_far += weights[i]
    target, reached = u * sum(weights[i] for i in kept), 0.0
    for i in sorted(kept):
        reached += weights[i]
        if target < reached:
            return i
    return max(kept)


SAMPLINGS = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.3, 0.6, 1.0, 2.0]),
    top_p=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    top_k=st.sampled_from([0, 1, 3, 10]),
)


@settings(max_examples=300, deadline=None)
@given(
    logits=st.lists(st.integers(-40, 40).map(lambda x: x / 4), min_size=1, max_size=12),
    sampling=SAMPLINGS,
    # not a multiple of a simple fraction: a draw exactly on a boundary is rounding's to decide
    u=st.integers(0, 996).map(lambda i: (i + 0.3819) / 997),
)
def test_equals_the_definition(logits, sampling, u):
    drawn = draw_token(np.array(logits, dtype=np.float32), sampling, FixedStream(u))
    assert drawn == reference_draw(logits, sampling, u)


@pytest.mark.parametrize("spread", [0.01, 2.0, 20.0])
@pytest.mark.parametrize("step", [0.0, 0.5], ids=["no ties", "many ties"])
def test_a_large_vocabulary_gives_the_tokens_of_a_sort_of_all_of_it(spread, step):
    """The store holds tokens that were drawn so."""
    numbers = np.random.default_rng(0)
    asked = [(0, 0.95), (0, 0.5), (0, 1e-9), (0, 1 - 1e-12), (5, 1.0), (20, 0.9), (9999, 0.7)]
    for top_k, top_p in asked * 5:
        logits = numbers.normal(0, spread, 3000).astype(np.float32)
        logits = np.round(logits / step) * step if step else logits
        weights = np.exp((logits.astype(np.float64) - logits.max()) / 0.6)
        order = np.argsort(-weights, kind="stable")[: top_k or None]
        before = np.cumsum(weights[order]) - weights[order]
        kept = np.zeros(3000)
        order = order[before < top_p * weights[order].sum()]
        kept[order] = weights[order]
        u = numbers.random()
        expected = np.searchsorted(kept.cumsum(), u * kept.cumsum()[-1], side="right")
        assert draw_token(logits, Sampling(0.6, top_p, top_k), FixedStream(u)) == expected


def test_draws_follow_the_probabilities():
    """Over 20,000 draws each share is within five standard errors of its probability."""
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32))
    stream = UniformStream(7)
    drawn = [draw_token(logits, Sampling(1.0, 1.0, 0), stream) for _ in range(20_000)]
    for token, p in enumerate([0.5, 0.3, 0.15, 0.05]):
        error = math.sqrt(p * (1 - p) / 20_000)
        assert abs(drawn.count(token) / 20_000 - p) < 5 * error


@pytest.mark.parametrize(("equal", "top_p", "kept"), [(2, 0.5, 1), (4, 0.25, 1), (4, 0.5, 2)])
def test_top_p_that_is_hit_exactly_takes_no_further_token(equal, top_p, kept):
    logits = np.zeros(equal, dtype=np.float32)
    almost_one = FixedStream(1 - 2**-53)
    assert draw_token(logits, Sampling(1.0, top_p, 0), almost_one) == kept - 1
    halves = np.log([0.5, 0.25, 0.25])
    assert draw_token(halves, Sampling(1.0, 0.5, 0), almost_one) == 0


def test_the_largest_uniform_number_does_not_fall_off_the_table():
    logits = np.array([0.0, 1.0, -50.0, -800.0], dtype=np.float32)
    almost_one = FixedStream(1 - 2**-53)
    assert draw_token(logits, Sampling(1.0, 1.0, 0), almost_one) in (1, 2)
    assert draw_token(logits, Sampling(1.0, 0.5, 0), almost_one) == 1


def test_streams_and_seeds_keep_their_values():
    """Written down once: another value would silently change every sample of every experiment."""
    stream = UniformStream(42)
    assert [stream.draw() for _ in range(3)] == [
        0.8201981478608876, 0.18924562408645496, 0.8676608148821462,
    ]  # fmt: skip
    assert derive_seed(0, "chains-001", 2, "trace") == 456891862260185620


def test_seeds_differ_by_problem_repeat_phase_and_base():
    base = (0, "a", 0, "trace")
    others = [
        (1, "a", 0, "trace"),
        (0, "b", 0, "trace"),
        (0, "a", 1, "trace"),
        (0, "a", 0, "answer"),
    ]
    seeds = {derive_seed(*arguments) for arguments in [base, *others]}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_ties_go_to_the_lower_id(temperature):
    logits = np.array([1.0, 3.0, 3.0, 3.0], dtype=np.float32)
    assert draw_token(logits, Sampling(temperature, 1.0, 1), FixedStream(0.99)) == 1
