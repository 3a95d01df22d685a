import itertools

from hypothesis import given
from hypothesis import strategies as st

from rps_bench.reports import pareto_frontier

POINTS = st.lists(st.tuples(st.integers(1, 6).map(float), st.integers(0, 6).map(float)))


def test_by_hand() -> None:
    points = [(1.0, 92.0), (10.0, 88.0), (10.0, 90.0), (100.0, 85.0), (50.0, 84.0), (1000.0, 20.0)]
    assert pareto_frontier(points) == [(1.0, 92.0), (10.0, 90.0), (100.0, 85.0), (1000.0, 20.0)]


def test_small_cases() -> None:
    assert pareto_frontier([]) == []
    assert pareto_frontier([(2.0, 5.0), (2.0, 5.0)]) == [(2.0, 5.0)]
    assert pareto_frontier([(2.0, 5.0), (3.0, 5.0)]) == [(3.0, 5.0)]


@given(POINTS)
def test_it_keeps_just_what_nothing_beats(points: list[tuple[float, float]]) -> None:
    def is_beaten(point: tuple[float, float]) -> bool:
        return any(o != point and o[0] >= point[0] and o[1] >= point[1] for o in points)

    frontier = pareto_frontier(points)
    assert frontier == sorted({point for point in points if not is_beaten(point)})
    assert all(a[1] > b[1] for a, b in itertools.pairwise(frontier))
