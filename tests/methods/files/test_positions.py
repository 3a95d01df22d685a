"""Positions of kept weights: every coding gives them back, and the smallest is taken."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rps_bench.methods.files.positions import CODINGS, decode_positions, encode_positions

KEPT = st.sets(st.integers(0, 20_000), max_size=300).map(sorted)


@given(kept=KEPT, room=st.integers(1, 100_000))
def test_every_coding_gives_the_positions_back(kept: list[int], room: int) -> None:
    n = (kept[-1] if kept else 0) + room
    positions = torch.tensor(kept, dtype=torch.int64)
    sizes = {}
    for name, coding in CODINGS.items():
        coded = coding.encode(positions, n)
        sizes[name] = coded.nbytes
        again = decode_positions(name, coded, n)
        assert again.dtype == torch.int64
        assert again.tolist() == kept
    name, coded = encode_positions(positions, n)
    assert coded.nbytes == sizes[name] == min(sizes.values())


def test_gaps_by_hand() -> None:
    # 3 -> 3; 4 -> 0 more; 132 -> 127 more; 261 -> 128 more: two bytes; then 2^14 more: three
    kept = torch.tensor([3, 4, 132, 261, 262 + 2**14])
    coded = CODINGS["gaps"].encode(kept, 10**5)
    assert coded.tolist() == [3, 0, 127, 128, 1, 128, 128, 1]


def test_the_mask_by_hand() -> None:
    assert CODINGS["mask"].encode(torch.tensor([0, 3, 9]), 11).tolist() == [9, 2]


@pytest.mark.parametrize(("one_in", "expected"), [(2, "mask"), (10, "gaps"), (300, "gaps")])
def test_which_is_smallest(one_in: int, expected: str) -> None:
    n = 100_000
    kept = torch.randperm(n, generator=torch.Generator().manual_seed(0))[: n // one_in].sort()[0]
    assert encode_positions(kept, n)[0] == expected


def test_the_list_for_the_very_sparse() -> None:
    assert encode_positions(torch.tensor([2**29, 2**30]), 2**31 - 1)[0] == "list"


def _bytes(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.uint8)


WRONG: dict[str, tuple[str, Callable[[], torch.Tensor]]] = {
    "falling": ("list", lambda: torch.tensor([5, 3], dtype=torch.int32)),
    "twice": ("list", lambda: torch.tensor([3, 3], dtype=torch.int32)),
    "negative": ("list", lambda: torch.tensor([-1, 3], dtype=torch.int32)),
    "beyond": ("list", lambda: torch.tensor([3, 100], dtype=torch.int32)),
    "gaps beyond": ("gaps", lambda: _bytes(50, 60)),
    "gaps cut": ("gaps", lambda: _bytes(3, 128)),
    "all continued": ("gaps", lambda: _bytes(128, 128)),
    "a gap too long": ("gaps", lambda: _bytes(*[128] * 9, 1)),
    "short mask": ("mask", lambda: _bytes(1, 2)),
    "floating list": ("list", lambda: torch.tensor([1.0, 2.0])),
    "matrix": ("gaps", lambda: _bytes(1, 2)[None]),
    "unknown": ("zip", lambda: _bytes(1)),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_list_of_positions(case: str) -> None:
    name, make = WRONG[case]
    with pytest.raises(ValueError, match=r"kept|mask|gap|coding"):
        decode_positions(name, make(), 100)
