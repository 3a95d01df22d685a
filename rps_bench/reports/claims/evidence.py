"""How strongly paired differences speak for and against a claim: intervals, tests, correction.

A claim holds if the true mean difference mu lies in an open interval (low, high), either end of
which may be infinite (`declared.true_interval`). A comparison has two tests. Each is a one-sided t
test on the n paired differences with n - 1 degrees of freedom, or is made of two of them:

- *for*: the null is "mu <= low or mu >= high". Both ends must be refuted, so p is the larger of the
  two one-sided p values (Schuirmann 1987, J. Pharmacokinetics and Biopharmaceutics 15, for
  equality; with one infinite end it is the test of non-inferiority or superiority).
- *against*: the null is "low <= mu <= high". Refuting either end suffices, so p is the smaller of
  the two, doubled if both ends are finite.

For every comparison one of the two nulls is true.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from rps_bench.reports.analysis.statistics import CONFIDENCE

Floats = NDArray[np.float64]

LEVEL = 0.05  # the false discovery rate of all tests together


def standard_error(deviation: Floats, n: Floats, resolution: Floats) -> Floats:
    """The standard error of mean differences in points, null for n < 2.

    Accuracies come in steps of one test image (`resolution`), so that all differences can agree by
    accident and show no spread. The deviation is therefore at least the one that rounding two
    accuracies to that step causes, resolution / sqrt(6) (each adds a variance of resolution^2 /
    12).
    """
    floored = np.fmax(deviation, resolution / np.sqrt(6))
    error: Floats = np.where(n >= 2, floored / np.sqrt(np.maximum(n, 1)), np.nan)
    return error


def interval(mean: Floats, error: Floats, n: Floats) -> tuple[Floats, Floats]:
    """The ends of the two-sided 95% t interval of each mean, null for n < 2."""
    quantile: Floats = stdtrit(np.maximum(n - 1, 1), (1 + CONFIDENCE) / 2)
    reach = quantile * error
    return mean - reach, mean + reach


def p_for(mean: Floats, error: Floats, n: Floats, low: Floats, high: Floats) -> Floats:
    """The p value of the null that the true difference lies outside (low, high)."""
    return np.maximum(_p_above(mean, error, n, low), _p_above(-mean, error, n, -high))


def p_against(mean: Floats, error: Floats, n: Floats, low: Floats, high: Floats) -> Floats:
    """The p value of the null that the true difference lies inside [low, high]."""
    smaller = np.minimum(_p_above(-mean, error, n, -low), _p_above(mean, error, n, high))
    num_ends = np.isfinite(low).astype(float) + np.isfinite(high)
    p_values: Floats = np.minimum(smaller * num_ends, 1.0)
    return p_values


def adjust_p_values(p_values: Floats) -> Floats:
    """The p values adjusted along the last axis for all of them that are not null.

    Of m values in ascending order the k-th becomes p m / k, or the adjusted value of a later one if
    that is smaller (Benjamini and Hochberg 1995, J. Royal Statistical Society B 57). Rejecting
    where the result is below a level keeps the expected share of false rejections among all
    rejections below that level, if the tests are independent or positively dependent.
    """
    order = np.argsort(p_values, axis=-1)  # nulls last
    num_tests = np.count_nonzero(~np.isnan(p_values), axis=-1, keepdims=True)
    steps = np.take_along_axis(p_values, order, -1) * num_tests
    steps /= np.arange(1, p_values.shape[-1] + 1)
    # The running minimum from the largest p down makes adjusted values ascend like the p values.
    least = np.fmin.accumulate(steps[..., ::-1], axis=-1)[..., ::-1]
    adjusted = np.empty_like(p_values)
    np.put_along_axis(adjusted, order, least, -1)
    return adjusted


def errors_needed(n: int, num_tests: int, num_verdicts: float) -> float:
    """How many standard errors beyond its bound a difference must lie to get a verdict.

    This is for the case that `num_verdicts` of `num_tests` tests reject, including its own.
    Contradicting an equality, whose p is doubled, needs more.
    """
    return float(stdtrit(n - 1, 1 - LEVEL * num_verdicts / num_tests))


def _p_above(mean: Floats, error: Floats, n: Floats, bound: Floats) -> Floats:
    """The p value of the null mu <= bound; without spread 0 if the mean is above it, else 1."""
    gap = mean - bound
    has_spread = error > 0
    scaled = gap / np.where(has_spread, error, 1.0)
    p_values = np.where(has_spread, stdtr(np.maximum(n - 1, 1), -scaled), np.where(gap > 0, 0, 1))
    known: Floats = np.where(np.isnan(error), np.nan, p_values)
    return known
