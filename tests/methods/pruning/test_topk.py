"""One exact selection, against Python's own sort."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rps_bench.methods.pruning.topk import keep_highest

# Few values, so that ties are common; infinities are legal scores.
scores = st.lists(
    st.one_of(
        st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, float("inf"), float("-inf")]),
        st.floats(allow_nan=False, width=32),
    ),
    min_size=1,
    max_size=60,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(values=scores, share=st.floats(0, 1))
def test_equals_pythons_sort(dtype: torch.dtype, values: list[float], share: float) -> None:
    num_kept = round(share * len(values))
    order = sorted(range(len(values)), key=lambda place: (-values[place], place))
    kept = keep_highest(torch.tensor(values, dtype=dtype), num_kept)
    assert kept.dtype == torch.int64
    assert kept.tolist() == sorted(order[:num_kept])


def test_all_scores_equal() -> None:
    assert keep_highest(torch.full((1000,), 3.0), 100).tolist() == list(range(100))


def test_seven_hundred_zeros_of_a_thousand() -> None:
    """The 300 non-zeros, and then zeros from the front."""
    values = torch.zeros(1000)
    values[::3] = 1.0  # 334 places
    values[999 - 3 * 33 :: 3] = 0.0  # back to 300
    assert int((values == 0).sum()) == 700
    kept = keep_highest(values, 500)
    nonzeros = values.nonzero().view(-1).tolist()
    zeros = (values == 0).nonzero().view(-1).tolist()
    assert kept.tolist() == sorted(nonzeros + zeros[:200])


def test_negative_scores() -> None:
    assert keep_highest(torch.tensor([-3.0, -1.0, -2.0, -1.0]), 2).tolist() == [1, 3]
    assert keep_highest(torch.tensor([-3.0, -1.0, -2.0, -1.0]), 1).tolist() == [1]


def test_none_and_all() -> None:
    values = torch.tensor([2.0, -1.0, 5.0])
    assert keep_highest(values, 0).tolist() == []
    assert keep_highest(values, 0).dtype == torch.int64
    assert keep_highest(values, 3).tolist() == [0, 1, 2]


def test_the_scores_are_left_alone() -> None:
    values = torch.tensor([2.0, -1.0, 5.0])
    keep_highest(values, 2)
    assert values.tolist() == [2, -1, 5]
