"""k-means on a line: by hand, against all partitions, and what theory knows of normal numbers."""

import itertools

import numpy as np
import pytest

from rps_bench.methods.clustering.lloyd import Floats, cluster, nearest


def error(values: Floats, centres: Floats, importance: Floats | None = None) -> float:
    squares = (values - centres[nearest(values, centres)]) ** 2
    return float((squares if importance is None else squares * importance).sum())


def test_by_hand() -> None:
    values = np.array([9.0, -1.0, 1.0, 11.0, 10.0, 0.0])
    centres = cluster(values, 2)
    assert centres.tolist() == [0.0, 10.0]
    assert nearest(values, centres).tolist() == [1, 0, 0, 1, 1, 0]
    assert nearest(np.array([4.9, 5.0, 5.1]), centres).tolist() == [0, 1, 1]


def test_importance_pulls_a_centre() -> None:
    values, importance = np.array([0.0, 1.0, 10.0]), np.array([3.0, 1.0, 2.0])
    assert cluster(values, 2, importance).tolist() == [0.25, 10.0]
    alone = np.array([0.0, 0.0, 2.0])  # what counts for nothing moves nothing
    assert cluster(values, 1, alone).tolist() == [10.0]


@pytest.mark.parametrize("weighted", [False, True])
def test_on_smooth_numbers_it_is_the_best_of_all_partitions(weighted: bool) -> None:
    values = np.sort(np.random.default_rng(4).normal(size=24))
    importance = np.random.default_rng(5).uniform(0.5, 1.5, 24) if weighted else np.ones(24)
    best = min(
        sum(
            float((part_w * (part - np.average(part, weights=part_w)) ** 2).sum())
            for part, part_w in zip(np.split(values, cuts), np.split(importance, cuts), strict=True)
        )
        for cuts in itertools.combinations(range(1, 24), 2)
    )
    found = error(values, cluster(values, 3, importance), importance)
    assert found >= best - 1e-12
    assert found <= 1.15 * best  # a local optimum may be a little worse


@pytest.mark.parametrize(
    ("num_values", "expected"), [(2, 0.3634), (4, 0.1175), (8, 0.03454), (16, 0.009497)]
)
def test_normal_numbers_have_the_error_of_the_optimal_quantiser(
    num_values: int, expected: float
) -> None:
    """Max 1960, table 1: relative squared error; 0.035 of 8 values, 10.7x with 3 bits an index."""
    values = np.random.default_rng(6).normal(size=400_000)
    relative = error(values, cluster(values, num_values)) / float((values**2).sum())
    assert relative == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0, 2.0], [0.0, 0.0, 0.0, 5.0]])
def test_fewer_different_values_than_centres(values: list[float]) -> None:
    array = np.array(values)
    centres = cluster(array, len(values))
    assert (np.diff(centres) >= 0).all()
    assert error(array, centres) == 0


def test_the_order_of_values_does_not_matter_nor_the_time() -> None:
    values = np.random.default_rng(7).standard_t(3, size=5000)
    once, again = cluster(values, 16), cluster(values, 16)
    assert np.array_equal(once, again)
    assert np.array_equal(once, cluster(values[::-1].copy(), 16))
