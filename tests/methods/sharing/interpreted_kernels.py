"""The kernels on CPU tensors in Triton's interpreter, against their twins in plain torch.

Run by test_kernels.py in a process of its own: TRITON_INTERPRET=1 counts where Triton is imported.
"""

import os
from collections.abc import Iterator

import pytest
import torch

from rps_bench.methods import METHODS
from rps_bench.methods.layout import Layout, num_weights
from rps_bench.methods.sharing import kernels
from rps_bench.methods.sharing.balanced import BalancedMap
from rps_bench.methods.sharing.base import SharingMethod
from rps_bench.methods.sharing.hashed import HashedMap
from rps_bench.methods.sharing.kernels import grid, slots
from rps_bench.methods.sharing.randomfold import RandomFoldMap
from rps_bench.methods.sharing.sharing_map import SharingMap
from rps_bench.methods.sharing.tiles import TiledMap

assert os.environ.get("TRITON_INTERPRET") == "1"

ONE: Layout = (("weight", (1, 1)),)
ODD: Layout = (("a.weight", (3, 5)), ("b.weight", (2, 3, 2, 1)), ("c.weight", (7, 50)))  # n = 377
WIDE: Layout = (("a.weight", (8, 3, 3, 3)), ("b.weight", (20, 37)), ("c.weight", (1, 68)))
SCALES = (0.3, 1.7, 2.9)  # none is a float exactly
SIZES = [(ONE, 1), *((ODD, m) for m in (1, 2, 188, 377)), *((WIDE, m) for m in (3, 97, 1024))]
TILED_SIZES = [(ONE, 1, 1), (ODD, 9, 3), (ODD, 40, 4), (ODD, 377, 1), (WIDE, 300, 16)]
DTYPES = (torch.float32, torch.float64)

MAPS = [
    *(
        kind(layout, SCALES[: len(layout)], m, seed)
        for kind in (RandomFoldMap, BalancedMap, HashedMap)
        for seed, (layout, m) in enumerate(SIZES)
    ),
    *(
        TiledMap(layout, SCALES[: len(layout)], m, seed, tile)
        for seed, (layout, m, tile) in enumerate(TILED_SIZES)
    ),
]


DETERMINISTIC = [weight_map for weight_map in MAPS if weight_map.kind in ("randomfold", "balanced")]
FEW = [weight_map for weight_map in MAPS if weight_map.num_weights == 377][::3]


def label(weight_map: SharingMap) -> str:
    return f"{weight_map.kind}-{weight_map.num_weights}-{weight_map.num_stored}"


def draw(count: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(count, dtype=dtype, generator=torch.Generator().manual_seed(count))


def assert_sums_alike(found: torch.Tensor, expected: torch.Tensor) -> None:
    tolerance = 1e-12 if expected.dtype == torch.float64 else 1e-4
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The maps take their kernels for CPU tensors, too."""
    monkeypatch.setattr(kernels, "can_run", lambda values: True)


@pytest.mark.parametrize("name", METHODS)
def test_every_kernel_that_a_method_names_is_there(name: str) -> None:
    """Asked for on a GPU only: a wrong name would be found late."""
    method = METHODS[name]
    kernel = method.map_type.kernel if issubclass(method, SharingMethod) else None
    if kernel is not None:
        assert callable(getattr(slots, kernel.slots))
        assert kernel.offsets is None or callable(getattr(slots, kernel.offsets))
        assert kernel.num_lanes % grid.LANES_PER_WARP == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weight_map", MAPS, ids=label)
def test_expand_gives_the_same_bits(weight_map: SharingMap, dtype: torch.dtype) -> None:
    weight_map = weight_map.to(dtype=dtype)
    stored = draw(weight_map.num_stored, dtype)
    expected = weight_map.expand_range(stored, 0, weight_map.num_weights)
    assert torch.equal(kernels.expand(weight_map.kernel_layout(), stored), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weight_map", MAPS, ids=label)
def test_reduce_gives_the_same_sums(weight_map: SharingMap, dtype: torch.dtype) -> None:
    weight_map = weight_map.to(dtype=dtype)
    grad = draw(weight_map.num_weights, dtype)
    found = kernels.reduce(weight_map.kernel_layout(), grad)
    assert found.dtype == dtype
    assert_sums_alike(found, weight_map.reduce_in_torch(grad))


@pytest.mark.parametrize("weight_map", DETERMINISTIC, ids=label)
def test_folds_in_few_parts(weight_map: SharingMap, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that take one step of folds after another; the sums repeat to the last bit."""
    monkeypatch.setattr(grid, "MANY_PROGRAMS", 3)
    weight_map = weight_map.to(dtype=torch.float64)
    grad = draw(weight_map.num_weights, torch.float64)
    found = kernels.reduce(weight_map.kernel_layout(), grad)
    assert_sums_alike(found, weight_map.reduce_in_torch(grad))
    if weight_map.kind == "randomfold":  # the balanced map's sums are those of the same kernel
        assert torch.equal(kernels.reduce(weight_map.kernel_layout(), grad), found)


@pytest.mark.parametrize("weight_map", FEW, ids=label)
def test_views_with_strides(weight_map: SharingMap) -> None:
    """As in the gradient of a sum, where one number stands for all, or of every other value."""
    weight_map = weight_map.to(dtype=torch.float64)
    n, m = weight_map.num_weights, weight_map.num_stored
    ones = torch.ones((), dtype=torch.float64).expand(n)
    assert_sums_alike(
        kernels.reduce(weight_map.kernel_layout(), ones), weight_map.reduce_in_torch(ones)
    )
    stored = draw(2 * m, torch.float64)[::2]
    expected = weight_map.expand_range(stored.clone(), 0, n)
    assert torch.equal(kernels.expand(weight_map.kernel_layout(), stored), expected)


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize(
    "weight_map",
    [
        RandomFoldMap(ODD[:2], SCALES[:2], 10, 7),
        BalancedMap(ODD[:2], SCALES[:2], 10, 7),
        HashedMap(ODD[:2], SCALES[:2], 10, 7),
        TiledMap(ODD[:2], SCALES[:2], 10, 7, 3),
    ],
    ids=label,
)
def test_derivatives_of_the_first_and_second_order(weight_map: SharingMap) -> None:
    weight_map = weight_map.to(dtype=torch.float64)
    stored = draw(10, torch.float64).requires_grad_()
    curve = draw(num_weights(ODD[:2]), torch.float64)

    def curved(stored: torch.Tensor) -> torch.Tensor:
        return (weight_map.recover(stored).pow(3) * curve).sum()

    assert torch.autograd.gradcheck(curved, stored, fast_mode=True)
    assert torch.autograd.gradgradcheck(curved, stored, fast_mode=True)


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("as_on_a_gpu", "deterministic")
@pytest.mark.parametrize("weight_map", FEW, ids=label)
def test_no_atomics_where_sums_must_repeat(
    weight_map: SharingMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Maps whose kernel has no other way go on in plain torch."""
    monkeypatch.delattr(grid, "scatter_kernel")
    grad = draw(weight_map.num_weights, torch.float32)
    weight_map = weight_map.to(dtype=torch.float32)
    assert_sums_alike(weight_map.reduce(grad), weight_map.reduce_in_torch(grad))


@pytest.mark.parametrize("weight_map", FEW, ids=label)
def test_tables_are_made_once(weight_map: SharingMap, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CUDA graph may hold no copy from the host."""
    grad, stored = (draw(k, torch.float32) for k in (weight_map.num_weights, weight_map.num_stored))
    kernels.expand(weight_map.kernel_layout(), stored)
    monkeypatch.delattr(torch, "tensor")
    kernels.expand(weight_map.kernel_layout(), stored)
    kernels.reduce(weight_map.kernel_layout(), grad)
    kept = weight_map.kernel_layout().tables.values()
    numbers = sum(table.numel() for tables in kept for table in tables)
    assert numbers <= 2 * (2 + 4 * len(weight_map.layout))  # of layers, in up to two dtypes
