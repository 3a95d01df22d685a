"""Levels and the iteration to go back to: integers written down, and what any sequence holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rps_bench.core.errors import UserError
from rps_bench.methods.levels import Level, Rewinding, pruning_levels

RESNET20 = 270_896
# floor(4 k / 5) again and again in whole numbers: what 20% levels keep of ResNet-20, to 1000x.
GOLDEN = (
    *(270896, 216716, 173372, 138697, 110957, 88765, 71012, 56809, 45447, 36357, 29085, 23268),
    *(18614, 14891, 11912, 9529, 7623, 6098, 4878, 3902, 3121, 2496, 1996, 1596, 1276, 1020, 816),
    *(652, 521, 416, 332, 270),
)


def kept(levels: tuple[Level, ...]) -> tuple[int, ...]:
    assert [level.number for level in levels] == list(range(len(levels)))
    return tuple(level.num_kept for level in levels)


def test_the_golden_sequence_to_1000x() -> None:
    levels = pruning_levels(RESNET20, 270, 0.2)
    assert kept(levels) == GOLDEN
    assert levels[-1].number == 31
    assert [level.is_shared for level in levels] == [True] * 31 + [False]


@pytest.mark.parametrize(
    ("compression", "number", "num_kept"), [(3.16, 6, 85_726), (10, 11, 27_089), (100, 21, 2_708)]
)
def test_golden_lengths(compression: float, number: int, num_kept: int) -> None:
    levels = pruning_levels(RESNET20, int(RESNET20 / compression), 0.2)
    assert kept(levels) == (*GOLDEN[:number], num_kept)
    assert not levels[-1].is_shared


def test_compression_1_is_one_training_that_others_share() -> None:
    assert pruning_levels(RESNET20, RESNET20, 0.2) == (Level(0, RESNET20, is_shared=True),)


def test_a_last_level_on_everybodys_way_is_shared() -> None:
    on, above, below = (pruning_levels(100, m, 0.2)[-1] for m in (64, 65, 63))
    assert on == Level(2, 64, is_shared=True)  # 100, 80, 64, 51
    assert above == Level(2, 65, is_shared=False)
    assert below == Level(3, 63, is_shared=False)


@pytest.mark.parametrize(
    ("num_weights", "fraction", "num_kept"),
    [
        # The binary 0.1 and 0.2 lie above the written ones: as they are, one weight more would go.
        (10, 0.1, 9),
        (15, 0.2, 12),
        (10, 0.3, 7),
        (100, 0.07, 93),  # 0.07 * 100 is 7.000000000000001
        (100, 0.55, 45),
        (1000, 1e-5, 999),
        (11, 0.2, 8),  # 2.2 weights: 3
    ],
)
def test_a_fraction_is_taken_as_it_is_written(
    num_weights: int, fraction: float, num_kept: int
) -> None:
    assert pruning_levels(num_weights, 1, fraction)[1].num_kept == num_kept


@given(
    n=st.integers(1, 5000),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    percent=st.integers(1, 99),
)
def test_any_sequence(n: int, shares: tuple[float, float], percent: int) -> None:
    """Written again in whole percents; two compressions share all levels but the last."""
    deep, shallow = sorted(1 + int(share * (n - 1)) for share in shares)
    natural = [n]
    while natural[-1] > 1:
        natural.append(natural[-1] - -(-percent * natural[-1] // 100))
    sequences = [pruning_levels(n, m, percent / 100) for m in (deep, shallow)]
    for levels, m in zip(sequences, (deep, shallow), strict=True):
        assert kept(levels) == (*(k for k in natural if k > m), m)
        assert [level.is_shared for level in levels[:-1]] == [True] * (len(levels) - 1)
        assert levels[-1].is_shared == (m in natural)
    longer, shorter = sequences
    assert longer[: len(shorter) - 1] == shorter[:-1]
    assert (shorter[-1] in longer) == (shorter[-1].is_shared or deep == shallow)


@pytest.mark.parametrize(
    ("num_steps", "step"), [(100_000, 1000), (10_000, 1000), (9_999, 999), (1173, 117), (9, 0)]
)
def test_the_default_is_1000_but_at_most_a_tenth(num_steps: int, step: int) -> None:
    assert Rewinding(None, restores_weights=True).resolve_step(num_steps) == step


@pytest.mark.parametrize("step", [0, 1, 5, 9])
def test_a_named_iteration_is_taken(step: int) -> None:
    assert Rewinding(step, restores_weights=True).resolve_step(10) == step


@pytest.mark.parametrize("step", [10, 11, 1000])
def test_an_iteration_beyond_the_training_is_refused(step: int) -> None:
    with pytest.raises(UserError) as caught:
        Rewinding(step, restores_weights=False).resolve_step(10)
    message = str(caught.value)
    assert "method.rewind_steps must be from 0 to 9" in message
    assert message.endswith(f"got {step}")
