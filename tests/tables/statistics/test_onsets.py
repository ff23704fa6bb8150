"""Onsets: by hand, and that they hold what made-up losses put there."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from workflow_scripts.tables.statistics.differences import detectable, paired_difference
from workflow_scripts.tables.statistics.onsets import Onset, crossing, fitted, onset, slope

SHARES = np.array([0.2, 0.4, 0.6, 0.8])


def losses_of(means, problems: int = 200, repeats: int = 1):
    """The first problems are lost, as many as each level's mean says."""
    lost = np.arange(problems) < np.round(problems * np.array(means))[:, np.newaxis]
    return np.repeat(lost[..., np.newaxis], repeats, axis=-1).astype(float)


def test_the_onset_is_where_the_fitted_loss_reaches_what_is_detectable() -> None:
    losses = losses_of([0.0, 0.02, 0.3, 0.9])
    found = onset(SHARES, losses)
    lines = []
    for level in losses:
        one = paired_difference(np.zeros_like(level), level)
        lines.append(detectable(one.se, 200, one.repeats, 1))
    assert lines[1] > 0.02 and lines[2] < 0.3
    # between 0.4 and 0.6, where two straight lines meet
    below, above = 0.02 - lines[1], 0.3 - lines[2]
    assert found.share == pytest.approx(0.4 + 0.2 * -below / (above - below))
    assert 0.4 < found.low < found.share < found.high < 0.6


def test_a_loss_that_no_level_shows_has_no_onset() -> None:
    found = onset(SHARES, losses_of([0.0, 0.0, 0.0, 0.01]))
    assert math.isinf(found.share) and math.isinf(found.high)
    sudden = onset(SHARES, losses_of([0.5, 0.5, 0.5, 0.5]))
    assert 0 < sudden.share < 0.2


def test_more_problems_find_a_loss_at_less_sparsity() -> None:
    means = [0.01, 0.04, 0.1, 0.4]
    few, many = (onset(SHARES, losses_of(means, problems)).share for problems in (100, 1000))
    assert many < few


@given(arrays(float, 5, elements=st.floats(-1, 1, width=16)))
def test_a_fitted_curve_begins_at_nothing_and_never_falls(losses) -> None:
    curve = fitted(losses)
    assert curve[0] == 0 and (np.diff(curve) >= 0).all()
    if (np.diff(losses) >= 0).all() and losses[0] >= 0:
        assert np.allclose(curve[1:], losses)


def test_a_crossing_is_the_first() -> None:
    places, line = np.array([0.0, 0.1, 0.2, 0.3]), np.full(4, 0.5)
    assert crossing(places, np.array([0, 0.25, 0.75, 0.9]), line) == pytest.approx(0.15)
    assert crossing(places, np.array([0, 0.5, 0.5, 0.9]), line) == pytest.approx(0.1)
    assert math.isinf(crossing(places, np.array([0, 0.1, 0.2, 0.3]), line))


def test_the_slope_is_by_doubling_and_takes_the_budgets_that_have_an_onset() -> None:
    def made(share: float) -> Onset:
        return Onset(share, share, share, share + np.linspace(-0.01, 0.01, 101))

    open_end = replace(made(0.79), high=math.inf)
    found = [made(math.inf), open_end, made(0.6), made(0.55), made(0.5), made(0.45)]
    line = slope([2, 4, 8, 16, 32, 64], found, 0.8)
    assert line.budgets == 4 and line.slope == pytest.approx(-0.05)
    assert line.low == pytest.approx(-0.05) and line.high == pytest.approx(-0.05)
    assert slope([2, 4, 8, 16], found[:4], 0.8) is None


def test_the_same_share_of_right_answers_shows_later_where_few_are_right() -> None:
    """Why an onset that falls with the budget is no sign that long thinking suffers more."""
    shares = [onset(SHARES, right * losses_of([0.05, 0.15, 0.4, 0.9])).share
              for right in (0.3, 0.6, 1.0)]  # fmt: skip
    assert shares == sorted(shares, reverse=True) and shares[0] - shares[2] > 0.05


def test_bounds_hold_the_onset_of_many_problems() -> None:
    """Where a benchmark is drawn, the onset of the losses that it is drawn from lies inside."""
    random = np.random.default_rng(0)
    chances = np.array([0.01, 0.05, 0.2, 0.6])
    inside = []
    for _ in range(40):
        lost = (random.random((120,)) < chances[:, np.newaxis])[..., np.newaxis].astype(float)
        found = onset(SHARES, lost)
        line = []
        for level in lost:
            one = paired_difference(np.zeros_like(level), level)
            line.append(detectable(one.se, 120, one.repeats, 1))
        true = crossing(np.append(0, SHARES), np.append(0, chances), np.array([line[0], *line]))
        inside.append(found.low <= true <= found.high)
    assert np.mean(inside) >= 0.85
