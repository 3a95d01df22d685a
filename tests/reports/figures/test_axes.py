import pytest
from hypothesis import given
from hypothesis import strategies as st

from rps_bench.reports.figures.axes import (
    SMALLEST_SPAN,
    choose_labelled,
    choose_ticks,
)
from rps_bench.reports.words import format_bytes, format_count, format_ratio


def test_ticks_prefer_powers_of_ten() -> None:
    assert choose_labelled([8.0, 10.0, 12.0, 30.0], 0.5) == [10.0, 30.0]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.9, 1100.0, [1.0, 10.0, 100.0, 1000.0]),
        (8.0, 400.0, [10.0, 30.0, 100.0, 300.0]),
        (8_000.0, 60_000.0, [10_000.0, 20_000.0, 50_000.0]),
        (2.0, 4.5, [2.0, 3.0, 4.0]),
    ],
)
def test_round_ticks_by_hand(low: float, high: float, ticks: list[float]) -> None:
    assert choose_ticks(low, high) == pytest.approx(ticks)


@given(st.floats(0.01, 1e9), st.floats(SMALLEST_SPAN, 1e6))
def test_there_are_always_two_ticks_inside(low: float, ratio: float) -> None:
    ticks = choose_ticks(low, low * ratio)
    assert len(ticks) >= 2
    assert all(low <= tick <= low * ratio for tick in ticks)
    assert ticks == sorted(set(ticks))


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (3.16, "3.16"), (31.6, "31.6"), (316.2, "316"), (1000.0, "1000")],
)
def test_ratios_read_as_numbers(value: float, text: str) -> None:
    assert format_ratio(value) == f"{text}\N{MULTIPLICATION SIGN}"


@pytest.mark.parametrize(
    ("value", "text"),
    [(950.0, "950 B"), (34_904.0, "34.9 kB"), (1_094_000.0, "1.09 MB"), (999_900.0, "1 MB")],
)
def test_sizes_have_units(value: float, text: str) -> None:
    assert format_bytes(value) == text


def test_counts_have_prefixes() -> None:
    assert [format_count(value) for value in (40.0, 2_500.0, 40_813_184.0, 3e9)] == [
        "40", "2.5 k", "40.8 M", "3 G"
    ]  # fmt: skip
