"""Rounding of the stored values: bounds of the error, and what cannot be stored."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rps_bench.core.errors import UserError
from rps_bench.core.storages import STORAGES
from rps_bench.methods.files.storage import decode_values, encode_values, round_values


def values(count: int, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(count, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("count", [1, 63, 64, 65, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounding_is_what_a_file_gives_back(storage: str, count: int, dtype: torch.dtype) -> None:
    stored = values(count).to(dtype)
    rounded = round_values(stored, storage)
    assert rounded.dtype == dtype
    assert rounded.shape == (count,)
    assert torch.equal(round_values(rounded, storage), rounded)  # already on the grid
    if count > 1 or storage == "exact":  # a lone value is the scale of its block
        assert torch.equal(rounded, stored) == (storage == "exact")


@pytest.mark.parametrize(("storage", "bits"), [("fp16", 11), ("bf16", 8)])
def test_halves_round_to_nearest(storage: str, bits: int) -> None:
    stored = values(1000)
    error = (round_values(stored, storage) - stored).abs()
    # half a unit of the last place; fp16 has denormals below 2^-14
    assert bool((error <= stored.abs() * 2.0**-bits + 2.0**-25).all())


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=200))
def test_int8_is_within_half_a_step_of_its_block(numbers: list[float]) -> None:
    stored = torch.tensor(numbers, dtype=torch.float32)
    rounded = round_values(stored, "int8")
    for start in range(0, len(numbers), 64):
        block = stored[start : start + 64].double()
        step = block.abs().max() / 127
        error = (rounded[start : start + 64].double() - block).abs().max()
        assert error <= 0.5 * step * (1 + 1e-5) + 1e-37


def test_int8_by_hand() -> None:
    stored = torch.zeros(66)
    stored[0], stored[1], stored[2] = 1.27, -0.634, 0.0149
    stored[65] = -254.0
    tensors = encode_values(stored, "int8")
    assert tensors["stored"][[0, 1, 2, 65]].tolist() == [127, -63, 1, -127]
    assert tensors["stored_scales"].tolist() == pytest.approx([0.01, 2.0])
    assert decode_values(tensors, torch.float32)[[0, 1, 2, 65]].tolist() == pytest.approx(
        [1.27, -0.63, 0.01, -254.0]
    )


def test_beyond_the_range_of_fp16() -> None:
    with pytest.raises(UserError, match="storage=fp16 ends below the largest stored value 70000"):
        encode_values(torch.tensor([1.0, -7e4]), "fp16")


def test_an_unknown_storage() -> None:
    with pytest.raises(UserError, match="storage must be one of exact, fp16, bf16, int8, got int4"):
        encode_values(torch.ones(3), "int4")
