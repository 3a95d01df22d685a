import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rps_bench.reports.axes import choose_labelled, format_ratio
from rps_bench.reports.labels import spread


def test_labels_with_room_stay_where_they_are() -> None:
    assert spread([0.9, 0.1, 0.5], 0.1, 0.0, 1.0) == pytest.approx([0.9, 0.1, 0.5])


def test_two_that_collide_part_evenly() -> None:
    assert spread([0.5, 0.5], 0.1, 0.0, 1.0) == pytest.approx([0.45, 0.55])


def test_the_edge_pushes_back() -> None:
    assert spread([1.0, 1.0, 1.0], 0.1, 0.0, 1.0) == pytest.approx([0.8, 0.9, 1.0])


def test_too_many_share_the_room() -> None:
    assert spread([0.5] * 5, 0.5, 0.0, 1.0) == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])


@given(st.lists(st.floats(0, 1), max_size=15), st.floats(0.01, 0.3))
def test_gaps_hold_and_order_stays(positions: list[float], gap: float) -> None:
    moved = spread(positions, gap, 0.0, 1.0)
    needed = min(gap, 1 / max(len(positions) - 1, 1))
    assert all(b - a >= needed - 1e-9 for a, b in itertools.pairwise(sorted(moved)))
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in moved)
    for (a, c), (b, d) in itertools.combinations(zip(positions, moved, strict=True), 2):
        assert (a - b) * (c - d) >= 0


def test_ticks_prefer_powers_of_ten() -> None:
    assert choose_labelled([8.0, 10.0, 12.0, 30.0], 0.5) == [10.0, 30.0]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (3.16, "3.16"), (31.6, "31.6"), (316.2, "316"), (1000.0, "1000")],
)
def test_ratios_read_as_numbers(value: float, text: str) -> None:
    assert format_ratio(value) == f"{text}\N{MULTIPLICATION SIGN}"
