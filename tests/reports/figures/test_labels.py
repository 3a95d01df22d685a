import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rps_bench.reports.figures.labels import SMALL_STYLE, labels_height, spread, wrap_label


def test_labels_with_room_stay_where_they_are() -> None:
    assert spread([0.9, 0.1, 0.5], [0.1] * 3, 0.0, 1.0) == pytest.approx([0.9, 0.1, 0.5])


def test_two_that_collide_part_evenly() -> None:
    assert spread([0.5, 0.5], [0.1] * 2, 0.0, 1.0) == pytest.approx([0.45, 0.55])


def test_a_higher_one_takes_more_room() -> None:
    assert spread([0.5, 0.5], [0.1, 0.3], 0.0, 1.0) == pytest.approx([0.4, 0.6])


def test_the_edge_pushes_back() -> None:
    assert spread([1.0, 1.0, 1.0], [0.1] * 3, 0.0, 1.0) == pytest.approx([0.8, 0.9, 1.0])


def test_too_many_share_the_room() -> None:
    assert spread([0.5] * 5, [0.5] * 5, 0.0, 1.0) == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 0.3)), max_size=15))
def test_gaps_hold_and_order_stays(things: list[tuple[float, float]]) -> None:
    positions, heights = [place for place, _ in things], [height for _, height in things]
    moved = spread(positions, heights, 0.0, 1.0)
    shrink = min(1.0, 1 / max(sum(heights), 1e-9))
    for a, b in itertools.combinations(range(len(moved)), 2):
        needed = shrink * (heights[a] + heights[b]) / 2
        assert abs(moved[a] - moved[b]) >= needed - 1e-9
        assert (positions[a] - positions[b]) * (moved[a] - moved[b]) >= 0
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in moved)


def test_long_labels_go_on_in_a_second_line() -> None:
    label = "stable_rps (init_std=0.1, scaling=none)"
    assert wrap_label(label) == "stable_rps (init_std=0.1,\n  scaling=none)"
    assert wrap_label("mag") == "mag"
    two_lines = labels_height(["stable_rps (scaling=none)"], SMALL_STYLE)
    assert two_lines == pytest.approx(2 * labels_height(["mag"], SMALL_STYLE))
