"""The hashes against SplitMix64 on Python's own integers, and their statistics."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rps_bench.core.seeds import derive_key
from rps_bench.methods.sharing.hashing import hash_below, hash_bits, hash_signs

ALL_64 = (1 << 64) - 1
int64s = st.integers(-(1 << 63), (1 << 63) - 1)
indices = st.integers(0, (1 << 63) - 2)


def splitmix(key: int, index: int) -> int:
    """Output number ``index`` of SplitMix64 seeded with ``key``, as an unsigned integer."""
    z = (key + (index + 1) * 0x9E3779B97F4A7C15) & ALL_64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & ALL_64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & ALL_64
    return z ^ (z >> 31)


def unsigned(bits: torch.Tensor) -> list[int]:
    return [value & ALL_64 for value in bits.tolist()]


def test_the_published_outputs_of_splitmix64() -> None:
    """Seed 0, as in the reference code's widely quoted first outputs."""
    assert unsigned(hash_bits(0, torch.arange(3))) == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]


@given(key=int64s, index=indices)
def test_hash_bits_is_splitmix64(key: int, index: int) -> None:
    assert unsigned(hash_bits(key, torch.tensor([index]))) == [splitmix(key, index)]


@given(keys=st.lists(int64s, min_size=1, max_size=5), index=indices)
def test_a_tensor_of_keys_broadcasts(keys: list[int], index: int) -> None:
    found = unsigned(hash_bits(torch.tensor(keys), torch.tensor(index)))
    assert found == [splitmix(key, index) for key in keys]


def test_hash_bits_leaves_its_arguments_alone() -> None:
    keys, index = torch.arange(5), torch.arange(5)
    hash_bits(keys, index)
    hash_below(3, index, 7)
    assert keys.tolist() == index.tolist() == [0, 1, 2, 3, 4]


@given(key=int64s, index=indices, bound=st.integers(1, 10**12))
def test_hash_below_is_the_lower_63_bits_modulo_the_bound(key: int, index: int, bound: int) -> None:
    expected = (splitmix(key, index) & ((1 << 63) - 1)) % bound
    assert hash_below(key, torch.tensor([index]), bound).tolist() == [expected]


@pytest.mark.parametrize("key", [derive_key(0, "a"), derive_key(1, "a")])
def test_avalanche(key: int) -> None:
    """Flipping any bit of the index or of the key flips each output bit half of the time."""
    count = 2000
    index = hash_bits(99, torch.arange(count)) & ((1 << 62) - 1)
    before = hash_bits(key, index)
    for place in range(62):
        flipped_index = hash_bits(key, index ^ (1 << place))
        flipped_key = hash_bits(torch.tensor(key) ^ (1 << place), index)
        for after in (flipped_index, flipped_key):
            changed = ((before ^ after)[:, None] >> torch.arange(64)) & 1  # (count, 64)
            share = changed.double().mean(0)
            # 64,000 bits in all and 2,000 per output bit; six standard errors.
            assert abs(share.mean().item() - 0.5) < 6 * 0.5 / math.sqrt(64 * count), place
            assert (share - 0.5).abs().max().item() < 6 * 0.5 / math.sqrt(count), place


@pytest.mark.parametrize("bound", [2, 10, 97, 256, 1000])
def test_hash_below_is_uniform(bound: int) -> None:
    count = 200 * bound
    loads = torch.bincount(hash_below(derive_key(3, "x"), torch.arange(count), bound))
    assert len(loads) == bound
    chi_square = ((loads - 200).double() ** 2 / 200).sum().item()
    assert abs(chi_square - (bound - 1)) < 5 * math.sqrt(2 * bound)


@given(key=int64s, count=st.integers(1, 300))
def test_signs_are_the_bits_one_by_one(key: int, count: int) -> None:
    signs = hash_signs(key, count, torch.float32).tolist()
    assert signs == [-1 if splitmix(key, i // 64) >> (i % 64) & 1 else 1 for i in range(count)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_signs_have_the_dtype_asked_for(dtype: torch.dtype) -> None:
    signs = hash_signs(7, 130, dtype)
    assert signs.dtype == dtype
    assert torch.equal(signs.double(), hash_signs(7, 130, torch.float64))


def test_changing_signs_in_place_does_not_change_the_next_ones() -> None:
    before = hash_signs(7, 200, torch.float32)
    changed = hash_signs(7, 200, torch.float32).zero_()
    assert not changed.any()
    assert torch.equal(hash_signs(7, 200, torch.float32), before)


def test_signs_are_balanced_and_uncorrelated() -> None:
    count = 1 << 18
    signs = hash_signs(derive_key(0, "randomfold", "sign"), count, torch.float64)
    assert abs(signs.sum().item()) < 5 * math.sqrt(count)
    for lag in (*range(1, 66), 128, 256, 270_896 // 10):
        correlation = (signs[lag:] * signs[:-lag]).sum().item()
        assert abs(correlation) < 5 * math.sqrt(count), lag
    # Each of the 64 places of a word on its own.
    by_place = signs.view(-1, 64).sum(0)
    assert by_place.abs().max().item() < 5 * math.sqrt(count / 64)
