"""The search: the same number for all, at a known end or inside, the same trials every time."""

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rps_bench.core.errors import UserError
from rps_bench.tuning.search import (
    FEWEST_TRIALS,
    HIGHEST,
    LOWEST,
    MOST_TRIALS,
    Score,
    find_best,
    find_edge,
    next_positions,
    rate_at,
)

Curve = Callable[[Fraction], Score]


def search(curve: Curve, num_trials: int) -> dict[Fraction, Score]:
    """All trials of a search, in their order."""
    tried: dict[Fraction, Score] = {}
    while positions := next_positions(tried, num_trials):
        assert not tried.keys() & set(positions)
        tried |= {position: curve(position) for position in positions}
    return tried


def rates(*positions: float) -> list[Fraction]:
    return [Fraction(position) for position in positions]


def hill(top: float) -> Curve:
    return lambda position: 90 - abs(float(position) - top)


# By hand: the top of a curve, and the positions that are tried, in their order.
BY_HAND = [
    (0.0, [-1, 0, 1, -0.5, 0.5, -0.25, 0.25]),  # inside at once; of equal gaps the lower first
    (0.3, [-1, 0, 1, 0.5, 0.25, 0.375, 0.125]),  # the better neighbour's gap first, then the wider
    (-3.0, [-1, 0, 1, -2, -3, -4, -3.5]),  # the lower end grows until the best lies inside
    (2.0, [-1, 0, 1, 2, 3, 1.5, 2.5]),  # the upper one
]


@pytest.mark.parametrize(("top", "positions"), BY_HAND)
def test_trials_by_hand(top: float, positions: list[float]) -> None:
    assert list(search(hill(top), 7)) == rates(*positions)


def test_rates_above_diverge_and_the_lower_end_grows() -> None:
    found = search(lambda position: 50.0 if position <= -2 else None, 5)
    assert list(found) == rates(-1, 0, 1, -2, -3)
    assert find_best(found) == -3  # as good as -2 and lower
    assert find_edge(found) == LOWEST


def test_where_all_diverge_rates_go_down() -> None:
    found = search(lambda position: None, 5)
    assert sorted(found) == rates(-3, -2, -1, 0, 1)
    assert find_best(found) == -3


def test_a_diverged_trial_is_worse_than_no_accuracy_at_all() -> None:
    assert find_best({Fraction(-1): None, Fraction(0): 0.0, Fraction(1): None}) == 0


def test_a_growing_end_is_said() -> None:
    found = search(float, 5)
    assert sorted(found) == rates(-1, 0, 1, 2, 3)
    assert find_edge(found) == HIGHEST


def test_the_first_rates_are_asked_for_at_once_and_again_where_some_are_missing() -> None:
    assert list(next_positions({}, 3)) == rates(-1, 0, 1)
    assert list(next_positions({Fraction(0): 1.0}, 3)) == rates(-1, 1)


SCORES = st.one_of(st.none(), st.floats(0, 100), st.sampled_from([10.0, 20.0]))


@given(st.data(), st.integers(FEWEST_TRIALS, MOST_TRIALS))
def test_properties_of_any_search(data: st.DataObject, num_trials: int) -> None:
    drawn: dict[Fraction, Score] = {}

    def curve(position: Fraction) -> Score:
        if position not in drawn:
            drawn[position] = data.draw(SCORES)
        return drawn[position]

    found = search(curve, num_trials)
    assert len(found) == num_trials  # the same for every cell
    assert search(curve, num_trials) == found
    assert len({rate_at(0.1, position) for position in found}) == num_trials
    best, edge = find_best(found), find_edge(found)
    worst = float("-inf")
    values = {p: worst if score is None else score for p, score in found.items()}
    assert values[best] == max(values.values())
    assert all(values[p] < values[best] for p in found if p < best)
    assert (edge == LOWEST) == (best == min(found))
    assert (edge is None) == (min(found) < best < max(found))


@given(st.data(), st.integers(FEWEST_TRIALS, MOST_TRIALS - 1))
def test_more_trials_go_on_where_fewer_ended(data: st.DataObject, num_trials: int) -> None:
    scores: dict[Fraction, Score] = {}

    def curve(position: Fraction) -> Score:
        return scores.setdefault(position, data.draw(SCORES) if position not in scores else None)

    fewer = list(search(curve, num_trials))
    assert list(search(curve, num_trials + 1))[:num_trials] == fewer


@pytest.mark.parametrize(
    ("position", "rate"), [(0, 0.1), (1, 0.3162), (-1, 0.03162), (0.5, 0.1778), (-4, 0.001)]
)
def test_rates_of_positions(position: float, rate: float) -> None:
    assert rate_at(0.1, Fraction(position)) == rate


def test_the_start_is_not_rounded() -> None:
    assert rate_at(0.123456789, Fraction(0)) == 0.123456789


@pytest.mark.parametrize(("start", "position"), [(1e308, 2), (5e-324, -2), (1e300, 4000)])
def test_rates_end_where_numbers_do(start: float, position: int) -> None:
    with pytest.raises(UserError, match="leaves the numbers"):
        rate_at(start, Fraction(position))
