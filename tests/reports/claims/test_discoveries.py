"""How many verdicts are wrong, and how many true gaps are found, over thousands of made-up tables.

A table has `means` (comparisons,), the true differences, whose claims take turns over `DIRECTIONS`.
Its noise is (tables, comparisons, seeds). Rates that come out at 5% are known to about 0.3%.
"""

import itertools
from typing import NamedTuple

import numpy as np
import pytest

from rps_bench.reports.claims.declared import Direction, true_interval
from rps_bench.reports.claims.evidence import LEVEL, Floats, adjust_p_values, p_against, p_for
from tests.reports.claims.conftest import NO_STEP, sample_differences

DIRECTIONS: tuple[Direction, ...] = ("at_or_above", "above", "equal", "below")
MARGIN = 0.5
EDGES = np.array([-0.5, 0.0, 0.5, -0.5] * 5)  # on the bound of each claim: the hardest nulls
DIGITS_STEP = 100 / 360  # points that one test image of the smallest dataset is worth
NUM_TABLES = 3000
ALLOWED = LEVEL + 0.01


class Rates(NamedTuple):
    wrong: float  # mean share of wrong verdicts among the verdicts of a table, 0 where it has none
    any: float  # share of tables with a verdict
    decided: Floats  # (comparisons,) share of tables that decide each


def _judge(
    means: Floats,
    noise: Floats,
    step: float = NO_STEP,
    directions: tuple[Direction, ...] = DIRECTIONS,
) -> Rates:
    sample = sample_differences(means[:, None] + noise, step)
    turns = itertools.islice(itertools.cycle(directions), len(means))
    intervals = [true_interval(direction, MARGIN) for direction in turns]
    low, high = (np.broadcast_to(ends, sample[0].shape) for ends in np.transpose(intervals))
    for_is_null = (means <= low[0]) | (means >= high[0])
    against_is_null = (means >= low[0]) & (means <= high[0])
    p_values = np.stack([p_for(*sample, low, high), p_against(*sample, low, high)], axis=1)
    adjusted = adjust_p_values(p_values.reshape(len(noise), -1)).reshape(p_values.shape)
    is_verdict = adjusted < LEVEL  # (tables, 2, comparisons)
    is_wrong = is_verdict & np.stack([for_is_null, against_is_null])
    num_verdicts = is_verdict.sum(axis=(1, 2))
    return Rates(
        wrong=float(np.mean(is_wrong.sum(axis=(1, 2)) / np.maximum(num_verdicts, 1))),
        any=float(np.mean(num_verdicts > 0)),
        decided=is_verdict.any(axis=1).mean(axis=0),
    )


def _make_noise(
    seed: int,
    num_seeds: int,
    deviation: float,
    num_comparisons: int = len(EDGES),
    is_shared: bool = False,
    step: float = NO_STEP,
) -> Floats:
    """The noise of method - rival, whose runs each have this standard deviation.

    Args:
        seed: Of the random numbers.
        num_seeds: Pairs of runs per comparison.
        deviation: Points.
        num_comparisons: In a table.
        is_shared: All comparisons of a table have the same runs of the method.
        step: Accuracies are rounded to multiples of it, from an offset of their own.
    """
    rng = np.random.default_rng(seed)
    num_methods = 1 if is_shared else num_comparisons
    method = rng.normal(0, deviation, (NUM_TABLES, num_methods, num_seeds))
    rival = rng.normal(0, deviation, (NUM_TABLES, num_comparisons, num_seeds))
    difference = method - rival
    if np.isnan(step):
        return difference
    # An offset that is uniform over one step keeps the mean of what is rounded.
    offset = rng.uniform(0, step, difference.shape[:2])[..., None]
    return np.round((difference + offset) / step) * step - offset


def _mix(num_gaps: int) -> Floats:
    """20 true differences: `num_gaps` gaps of 40 points, either way; the others null."""
    means = EDGES.copy()
    places = np.random.default_rng(9).permutation(len(means))[:num_gaps]
    means[places] = 40.0 * (-1.0) ** np.arange(num_gaps)
    return means


def test_any_verdict_is_rare_where_all_nulls_are_true() -> None:
    # Of 40 tests, 30 reject first with chance .05 / 40 each, 5 with half of it ("against" an
    # equality at one end of it) and 5 hardly ever ("for" it): .0406 in all.
    rates = _judge(EDGES, _make_noise(1, 3, 1.0))
    assert rates.any == rates.wrong == pytest.approx(0.0406, abs=0.012)


@pytest.mark.parametrize(("num_seeds", "deviation"), [(2, 1.0), (3, 0.3), (3, 1.0), (10, 1.0)])
def test_any_verdict_is_rare_where_comparisons_share_a_method(
    num_seeds: int, deviation: float
) -> None:
    rates = _judge(EDGES, _make_noise(2, num_seeds, deviation, is_shared=True))
    assert rates.wrong <= ALLOWED


@pytest.mark.parametrize("num_gaps", [0, 5, 10, 15])
def test_the_share_of_wrong_verdicts_is_that_of_theory(num_gaps: int) -> None:
    """For independent tests it is the level times the share of true nulls, exactly."""
    means = np.where(np.arange(20) < num_gaps, 5.0, 0.0)
    rates = _judge(means, _make_noise(3, 3, 0.3), directions=("above",))
    assert rates.wrong == pytest.approx(LEVEL * (1 - num_gaps / 20), abs=0.012)


@pytest.mark.parametrize("is_shared", [False, True], ids=["independent", "shared"])
@pytest.mark.parametrize("num_seeds", [2, 3, 5])
@pytest.mark.parametrize("num_gaps", [2, 6, 14])
@pytest.mark.parametrize("step", [NO_STEP, DIGITS_STEP], ids=["fine", "coarse"])
def test_few_verdicts_are_wrong_in_mixes(
    is_shared: bool, num_seeds: int, num_gaps: int, step: float
) -> None:
    noise = _make_noise(4, num_seeds, 0.3, is_shared=is_shared, step=step)
    rates = _judge(_mix(num_gaps), noise, step)
    assert rates.wrong <= ALLOWED
    assert rates.any > 0.1  # so that it is put to the test


def test_two_seeds_need_the_spread_of_a_test_image() -> None:
    """Without the step's own spread, differences that agree by accident reject at once."""
    noise = _make_noise(5, 2, 0.3, step=DIGITS_STEP)
    assert _judge(_mix(2), noise, DIGITS_STEP).wrong <= ALLOWED
    assert _judge(_mix(2), noise).wrong > 0.2


@pytest.mark.parametrize("is_shared", [False, True], ids=["independent", "shared"])
@pytest.mark.parametrize(("num_gaps", "least"), [(40, 0.8), (100, 0.95), (200, 0.99)])
def test_three_seeds_find_gaps_of_five_points(is_shared: bool, num_gaps: int, least: float) -> None:
    """200 comparisons: a gap that stood alone would have to be 63 standard errors wide."""
    means = np.where(np.arange(200) < num_gaps, 5.0, 0.0)
    noise = _make_noise(6, 3, 0.3, num_comparisons=200, is_shared=is_shared)[:500]
    rates = _judge(means, noise)
    assert rates.decided[:num_gaps].mean() > least
    assert rates.wrong <= ALLOWED
