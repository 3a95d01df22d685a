"""k-means of numbers on a line: Lloyd's algorithm on sorted values, the same bits every time.

Lloyd 1982 (Least squares quantization in PCM). On a line a cluster is an interval, so one sort and
sums up to each value do for all rounds: a round costs k binary searches, however many values there
are. It begins at quantiles, draws nothing and ends where no value changes its cluster. For
densities such as the normal, whose logarithm is concave, there is one such place, the optimum
(Fleischer 1964); else it may be a local one. Exact algorithms exist; without compiled code they
take minutes for millions of weights. scikit-learn's KMeans compares each value with each centre,
and divides sums among threads.
"""

import numpy as np
from numpy.typing import NDArray

MOST_ROUNDS = 20_000

Floats = NDArray[np.float64]


def cluster(values: Floats, num_clusters: int, importance: Floats | None = None) -> Floats:
    """(k,) ascending centres, where the sum of importance * (value - centre)^2 has a minimum.

    Args:
        values: (n,) finite.
        num_clusters: k, from 1 to n. Centres may coincide where fewer values differ.
        importance: (n,) at least 0, with a sum above 0; None: all alike.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    weights = np.ones_like(ordered) if importance is None else importance[order]
    # Sums up to each value, one after the other: np.cumsum has one order on every machine.
    mass = np.concatenate(([0.0], np.cumsum(weights)))
    moment = np.concatenate(([0.0], np.cumsum(weights * ordered)))
    centres = _quantiles(ordered, mass, num_clusters)
    ends = _find_ends(ordered, centres)
    for _ in range(MOST_ROUNDS):
        centres = _average(centres, ends, mass, moment)
        before, ends = ends, _find_ends(ordered, centres)
        if np.array_equal(before, ends):
            break
    return centres


def nearest(values: Floats, centres: Floats) -> NDArray[np.int64]:
    """(n,) index of the centre next to each value; of two as near the upper one."""
    return np.searchsorted(_bounds(centres), values, side="right")


def _quantiles(ordered: Floats, mass: Floats, num_clusters: int) -> Floats:
    """The values amid each of k parts of equal importance."""
    wanted = (np.arange(num_clusters) + 0.5) / num_clusters * mass[-1]
    places = np.searchsorted(mass[1:], wanted, side="left")
    middle: Floats = ordered[np.minimum(places, len(ordered) - 1)]
    return middle


def _bounds(centres: Floats) -> Floats:
    """(k - 1,) the values amid two neighbouring centres."""
    return (centres[:-1] + centres[1:]) / 2


def _find_ends(ordered: Floats, centres: Floats) -> NDArray[np.int64]:
    """(k + 1,) where each cluster begins in the sorted values, and where the last one ends."""
    inner = np.searchsorted(ordered, _bounds(centres), side="left")
    return np.concatenate(([0], inner, [len(ordered)]))


def _average(centres: Floats, ends: NDArray[np.int64], mass: Floats, moment: Floats) -> Floats:
    """The mean of each cluster; one without importance keeps its centre."""
    masses, moments = np.diff(mass[ends]), np.diff(moment[ends])
    is_used = masses > 0
    means = np.where(is_used, moments / np.where(is_used, masses, 1.0), centres)
    ascending: Floats = np.maximum.accumulate(means)  # rounding may not swap neighbours
    return ascending
