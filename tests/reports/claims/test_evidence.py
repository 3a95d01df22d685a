import math

import numpy as np
import pytest
from scipy import stats

from rps_bench.reports.claims.declared import Direction, true_interval
from rps_bench.reports.claims.evidence import (
    Floats,
    adjust_p_values,
    errors_needed,
    interval,
    p_against,
    p_for,
    standard_error,
)
from tests.reports.claims.conftest import sample_differences


def _bounds(direction: Direction, like: Floats, margin: float = 0.5) -> tuple[Floats, Floats]:
    low, high = true_interval(direction, margin)
    return np.full(like.shape, low), np.full(like.shape, high)


def _tail(t: float) -> float:
    """P(T > t) with 2 degrees of freedom, in closed form."""
    return (1 - t / math.sqrt(t * t + 2)) / 2


def test_three_differences_by_hand() -> None:
    sample = sample_differences(np.array([[1.0, 2.0, 3.0]]))  # mean 2, std 1, error 1 / sqrt 3
    assert sample[1] == pytest.approx(1 / math.sqrt(3))
    low, high = interval(*sample)
    assert (low[0], high[0]) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))
    at_or_above = _bounds("at_or_above", low)
    assert p_for(*sample, *at_or_above)[0] == pytest.approx(_tail(2.5 * math.sqrt(3)))
    assert p_against(*sample, *at_or_above)[0] == pytest.approx(1 - _tail(2.5 * math.sqrt(3)))
    assert p_for(*sample, *_bounds("above", low))[0] == pytest.approx(_tail(2 * math.sqrt(3)))
    equal = _bounds("equal", low)
    assert p_for(*sample, *equal)[0] == pytest.approx(1 - _tail(1.5 * math.sqrt(3)))
    assert p_against(*sample, *equal)[0] == pytest.approx(2 * _tail(1.5 * math.sqrt(3)))
    below = _bounds("below", low)
    assert p_for(*sample, *below)[0] == pytest.approx(1 - _tail(2.5 * math.sqrt(3)))
    assert p_against(*sample, *below)[0] == pytest.approx(_tail(2.5 * math.sqrt(3)))


def test_parity_with_scipy() -> None:
    rng = np.random.default_rng(0)
    method, rival = rng.normal(80.5, 1, (50, 5)), rng.normal(80, 1, (50, 5))
    sample = sample_differences(method - rival)
    greater = stats.ttest_rel(method, rival, axis=1, alternative="greater")
    assert p_for(*sample, *_bounds("above", sample[0])) == pytest.approx(greater.pvalue)
    shifted = stats.ttest_1samp(method - rival, -0.5, axis=1, alternative="less")
    assert p_for(*sample, *_bounds("below", sample[0])) == pytest.approx(shifted.pvalue)
    upper = stats.ttest_1samp(method - rival, 0.5, axis=1, alternative="less")
    lower = stats.ttest_1samp(method - rival, -0.5, axis=1, alternative="greater")
    tost = np.maximum(upper.pvalue, lower.pvalue)
    assert p_for(*sample, *_bounds("equal", sample[0])) == pytest.approx(tost)
    confidence = stats.ttest_rel(method, rival, axis=1).confidence_interval(0.95)
    low, high = interval(*sample)
    assert low == pytest.approx(confidence.low)
    assert high == pytest.approx(confidence.high)


def test_one_seed_gives_nothing() -> None:
    error = standard_error(np.array([np.nan]), np.array([1.0]), np.array([0.01]))
    sample = (np.array([3.0]), error, np.array([1.0]))
    bounds = _bounds("above", error)
    values = [error, *interval(*sample), p_for(*sample, *bounds), p_against(*sample, *bounds)]
    assert np.isnan(values).all()


@pytest.mark.parametrize(("difference", "expected"), [(0.5, (0, 1)), (0, (1, 1)), (-1, (1, 0))])
def test_no_spread_at_all_without_a_known_step(
    difference: float, expected: tuple[float, float]
) -> None:
    sample = sample_differences(np.full((1, 3), difference))
    bounds = _bounds("above", sample[0])
    assert (p_for(*sample, *bounds)[0], p_against(*sample, *bounds)[0]) == expected


def test_accuracies_that_agree_still_have_the_spread_of_their_step() -> None:
    mean, error, n = sample_differences(np.full((1, 3), 2.0), resolution=0.6)
    assert error[0] == pytest.approx(0.6 / math.sqrt(6) / math.sqrt(3))
    t = 2.0 / error[0]
    assert p_for(mean, error, n, *_bounds("above", mean))[0] == pytest.approx(_tail(t))
    wide = sample_differences(np.array([[1.0, 2.0, 3.0]]), resolution=0.6)
    assert wide[1] == pytest.approx(1 / math.sqrt(3))


def test_adjusted_p_by_hand() -> None:
    # Sorted .005 .01 .03 .032 times 4 / 1 2 3 4: .02 .02 .04 .032, none more than a later one.
    adjusted = adjust_p_values(np.array([0.01, 0.032, np.nan, 0.03, 0.005]))
    assert adjusted == pytest.approx([0.02, 0.032, np.nan, 0.032, 0.02], nan_ok=True)
    assert adjust_p_values(np.array([0.6, 0.7])).tolist() == [0.7, 0.7]
    assert adjust_p_values(np.array([])).size == 0
    assert np.isnan(adjust_p_values(np.full(2, np.nan))).all()


def test_adjusted_p_agrees_with_scipy() -> None:
    p_values = np.random.default_rng(1).uniform(0, 1, (30, 40)) ** 4
    p_values[:, 7] = p_values[:, 8]
    p_values[:, :2] = 0, 1
    expected = stats.false_discovery_control(p_values, axis=1, method="bh")
    assert adjust_p_values(p_values) == pytest.approx(expected)
    p_values[::2, 10:20] = np.nan
    adjusted = adjust_p_values(p_values)
    for row, found in zip(p_values, adjusted, strict=True):
        known = ~np.isnan(row)
        assert found[known] == pytest.approx(stats.false_discovery_control(row[known]))
        assert np.isnan(found[~known]).all()


def test_errors_needed_by_hand() -> None:
    assert _tail(errors_needed(3, 20, 1)) == pytest.approx(0.05 / 20)
    assert _tail(errors_needed(3, 20, 5)) == pytest.approx(0.05 / 4)
    # Where every comparison is decided, half of the tests reject: as the plain interval.
    assert errors_needed(3, 20, 10) == pytest.approx(4.302653)
