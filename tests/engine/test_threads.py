"""Steps that give the same bits in any number of threads: what may use more than one, and how."""

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from rps_bench.engine import threads
from rps_bench.engine.choose import use_kernels
from rps_bench.engine.threads import count_threads, multiply, side_by_side, spread_out, steadied
from rps_bench.runtime.cores import limit_threads
from tests.engine.reference import draw

NUM_THREADS = [1, 2, 3]


@pytest.fixture(autouse=True)
def several() -> Iterator[None]:
    """Three threads."""
    with limit_threads(3):
        yield


def test_a_steadied_step_has_one_thread_but_for_what_asks_for_more() -> None:
    def work() -> None:
        with steadied("native-avx512-1"):
            assert (torch.get_num_threads(), count_threads()) == (1, 3)
            with spread_out():
                assert torch.get_num_threads() == 3
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        work()
    assert (torch.get_num_threads(), count_threads()) == (3, 3)
    with steadied("plain"):
        assert torch.get_num_threads() == 3


def test_one_pass_has_one_thread_and_the_pass_beside_it_the_others() -> None:
    def look() -> tuple[int, int, bool]:
        return torch.get_num_threads(), count_threads(), torch.is_grad_enabled()

    with steadied("products-1"), torch.no_grad():
        assert side_by_side(look, look) == ((1, 1, False), (1, 2, False))
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("num_threads", NUM_THREADS)
@pytest.mark.parametrize("is_beside", [True, False])
def test_errors_come_through(is_beside: bool, num_threads: int) -> None:
    def fail() -> int:
        raise MemoryError("none left")

    def work() -> int:
        return 1

    with limit_threads(num_threads):
        with pytest.raises(MemoryError, match="none left"):
            side_by_side(*((fail, work) if is_beside else (work, fail)))
        assert side_by_side(work, work) == (1, 1)
        assert torch.get_num_threads() == num_threads


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(128, 512, 512), (20, 64, 128), (7, 130, 200), (128, 2048, 256)])
def test_a_product_is_that_of_one_thread(shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    rows, inner, columns = shape
    left, right = torch.randn(rows, inner).to(dtype), torch.randn(columns, inner).to(dtype)
    left[0, 0] = float("nan")
    with limit_threads(1):
        expected = left @ right.t()
    for num_threads in NUM_THREADS:
        with limit_threads(num_threads):
            found = multiply(left, right.t())
        assert torch.equal(found[1:], expected[1:])
        assert bool(found[0].isnan().all())


def test_a_product_is_not_cut_where_parts_sum_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    original = threads._multiply

    def sum_otherwise(left: torch.Tensor, right: torch.Tensor, num_parts: int) -> torch.Tensor:
        if num_parts == 1:
            return original(left, right, 1)
        half = left.shape[1] // 2 + 1
        return left[:, :half] @ right[:half] + left[:, half:] @ right[half:]

    shapes = (torch.Size((128, 96)), (96, 1)), (torch.Size((96, 320)), (320, 1))
    monkeypatch.setattr(threads, "_multiply", sum_otherwise)
    for dtype in (torch.float32, torch.bfloat16):
        assert threads._count_parts.__wrapped__(dtype, *shapes, 3) == 1


LAYERS: list[dict[str, Any]] = [
    {"stride": 2, "padding": 1, "bias": False},
    {"padding": 0},
    {"padding": 2, "dilation": 2},
    {"padding": 1, "groups": 2},
    {"kernel_size": 1},
    {"kernel_size": (3, 1), "padding": (1, 0)},
    {"padding": "same", "kernel_size": 5},
    {"padding": 1, "padding_mode": "circular"},
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("num_images", [4, 40])
@pytest.mark.parametrize("options", LAYERS)
def test_other_convolutions_are_pytorch_s_in_one_thread_bit_for_bit(
    options: dict[str, Any], num_images: int, dtype: torch.dtype
) -> None:
    layer = nn.Conv2d(24, 40, **({"kernel_size": 3} | options)).to(dtype)
    images = draw(num_images, 24, 12, 12, dtype=dtype)

    def passes(own: nn.Module) -> list[torch.Tensor | None]:
        given = images.clone().requires_grad_()
        result = own(given)
        slopes = torch.linspace(-1, 1, result.numel()).view_as(result).to(dtype)
        (result * slopes).sum().backward()
        return [result, given.grad, *(parameter.grad for parameter in own.parameters())]

    with limit_threads(1):
        expected = passes(copy.deepcopy(layer))
    use_kernels(layer, "products-1")
    for num_threads in NUM_THREADS:
        with limit_threads(num_threads), steadied("products-1"):
            found = passes(copy.deepcopy(layer))
        for own, right in zip(found, expected, strict=True):
            assert own is not None
            assert right is not None
            assert torch.equal(own, right)


@pytest.mark.parametrize("wanted", [(True, False), (False, True), (False, False)])
def test_gradients_that_nobody_wants_are_left_out(wanted: tuple[bool, bool]) -> None:
    layer = nn.Conv2d(8, 8, 3, stride=2)
    use_kernels(layer, "products-1")
    layer.weight.requires_grad_(wanted[0])
    images = draw(2, 8, 9, 9).requires_grad_(wanted[1])
    layer(images).sum().backward()
    assert (layer.weight.grad is not None, images.grad is not None) == wanted
    assert layer.bias is not None
    assert layer.bias.grad is not None


def test_gradients_of_other_convolutions_can_be_differentiated_again() -> None:
    layer = nn.Conv2d(3, 4, 3, stride=2)
    use_kernels(layer, "products-1")
    images = draw(2, 3, 9, 9).requires_grad_()
    loss = layer(images).square().sum()
    (by_weight,) = torch.autograd.grad(loss, layer.weight, create_graph=True)
    by_weight.square().sum().backward()  # type: ignore[no-untyped-call]
    assert images.grad is not None
    assert bool(images.grad.any())


FORKED = """
import os, torch
from rps_bench.engine.threads import side_by_side
torch.set_num_threads(2)
assert side_by_side(lambda: 1, lambda: 2) == (1, 2)
child = os.fork()
if child == 0:
    os._exit(0 if side_by_side(lambda: 3, lambda: 4) == (3, 4) else 1)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_threads_work_in_a_forked_process_and_let_it_end() -> None:
    code = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED]
    done = subprocess.run(code, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
