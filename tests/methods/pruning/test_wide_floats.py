"""Operations make no narrower floats than asked for, and leave everything else alone."""

from collections.abc import Callable

import pytest
import torch

from rps_bench.methods.pruning.wide_floats import WideFloats

WIDE = torch.ones(2, 3, dtype=torch.float64)
NARROW: dict[str, Callable[[], torch.Tensor]] = {
    "float": lambda: WIDE.float(),
    "half": lambda: WIDE.half(),
    "to": lambda: WIDE.to(torch.bfloat16),
    "type": lambda: WIDE.type(torch.float32),
    "type_as": lambda: WIDE.type_as(torch.ones(1)),
    "zeros": lambda: torch.zeros(2),
    "empty": lambda: torch.empty(2, dtype=torch.float16),
    "full": lambda: torch.full((2,), 1.0),
    "arange": lambda: torch.arange(3.0),
    "eye": lambda: torch.eye(3),
    "randn": lambda: torch.randn(3),
    "tensor": lambda: torch.tensor([1.5, 2.5]),
    "zeros_like": lambda: torch.zeros_like(WIDE, dtype=torch.float32),
    "sum": lambda: WIDE.sum(dtype=torch.float32),
    "softmax": lambda: WIDE.softmax(-1, dtype=torch.float32),
    "division of integers": lambda: torch.arange(3) / 2,
    "cast integers": lambda: torch.arange(3).float(),
}


@pytest.mark.parametrize("kind", NARROW)
def test_what_would_be_narrow_is_wide(kind: str) -> None:
    assert NARROW[kind]().dtype != torch.float64
    with WideFloats(torch.float64):
        assert NARROW[kind]().dtype == torch.float64


def test_other_types_stay() -> None:
    with WideFloats(torch.float32):
        assert torch.arange(3).dtype == torch.int64
        assert (WIDE > 0).dtype == torch.bool
        assert WIDE.to(torch.int32).dtype == torch.int32
        assert (WIDE + 1).dtype == torch.float64
        assert torch.zeros(1, dtype=torch.complex64).dtype == torch.complex64


def test_views_of_narrow_tensors_stay_views() -> None:
    narrow = torch.zeros(2, 3)
    with WideFloats(torch.float64):
        narrow.view(-1)[0] = 1
        narrow.add_(1)
    assert narrow.tolist() == [[2, 1, 1], [1, 1, 1]]


def test_derivatives_pass_casts_whole() -> None:
    """1/3 has more digits than float32 holds."""
    weight = torch.tensor(1 / 3, dtype=torch.float64, requires_grad=True)
    with WideFloats(torch.float64):
        cube = weight.float() ** 3
    (first,) = torch.autograd.grad(cube, weight, create_graph=True)
    (second,) = torch.autograd.grad(first, weight)
    assert first.item() == 3 * (1 / 3) ** 2
    assert second.item() == pytest.approx(2, rel=1e-15)
