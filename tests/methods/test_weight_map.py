"""w = A theta against A written out as a matrix, values and derivatives, in float64."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rps_bench.methods.layout import Layout
from rps_bench.methods.sharing.balanced import BalancedMap
from rps_bench.methods.sharing.hashed import HashedMap
from rps_bench.methods.sharing.randomfold import RandomFoldMap
from rps_bench.methods.sharing.sharing_map import SharingMap
from rps_bench.methods.sharing.tiles import TiledMap
from rps_bench.methods.weight_map import IdentityMap, SelectionMap, WeightMap

LAYOUT: Layout = (("a.weight", (4, 3)), ("b.weight", (2, 2, 1, 3)), ("c.weight", (1, 5)))
SCALES = (0.5, 3.0, 1.25)
N = 12 + 12 + 5
LAMBDAS = [0.5] * 12 + [3.0] * 12 + [1.25] * 5

# Each takes (m, seed).
MAPS: dict[str, Callable[[int, int], WeightMap]] = {
    "identity": lambda m, seed: IdentityMap(N),
    "selection": lambda m, seed: SelectionMap(
        N, torch.randperm(N, generator=torch.Generator().manual_seed(seed))[:m].sort().values
    ),
    "randomfold": lambda m, seed: RandomFoldMap(LAYOUT, SCALES, m, seed),
    "hashed": lambda m, seed: HashedMap(LAYOUT, SCALES, m, seed),
    "balanced": lambda m, seed: BalancedMap(LAYOUT, SCALES, m, seed),
    "tiled": lambda m, seed: TiledMap(LAYOUT, SCALES, max(m, 4), seed, 2),
}


def build(name: str, m: int = 7, seed: int = 0) -> WeightMap:
    return MAPS[name](m, seed).double()


def dense_matrix(weight_map: WeightMap) -> NDArray[np.float64]:
    """A, (n, m), entry by entry."""
    matrix = np.zeros((weight_map.num_weights, weight_map.num_stored))
    slots, coefficients = weight_map.slots().tolist(), weight_map.coefficients().tolist()
    for row, (slot, coefficient) in enumerate(zip(slots, coefficients, strict=True)):
        if slot >= 0:
            matrix[row, slot] = coefficient
        else:
            assert coefficient == 0
    return matrix


def noise(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("name", MAPS)
@given(m=st.integers(1, N), seed=st.integers(0, 1000))
def test_expand_and_reduce_are_the_matrix_and_its_transpose(name: str, m: int, seed: int) -> None:
    weight_map = build(name, m, seed)
    matrix = dense_matrix(weight_map)
    stored, grad = noise(weight_map.num_stored, seed), noise(N, seed + 1)
    expanded, reduced = weight_map.expand(stored), weight_map.reduce(grad)
    np.testing.assert_allclose(expanded.numpy(), matrix @ stored.numpy(), atol=1e-12)
    np.testing.assert_allclose(reduced.numpy(), matrix.T @ grad.numpy(), atol=1e-12)
    # <A t, g> = <t, A' g>
    assert (expanded @ grad).item() == pytest.approx((stored @ reduced).item(), abs=1e-11)
    np.testing.assert_allclose(weight_map.gram().numpy(), (matrix**2).sum(0), rtol=1e-12)
    np.testing.assert_allclose(
        np.diag(weight_map.gram().numpy()), matrix.T @ matrix, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("name", MAPS)
def test_reading_changes_no_argument(name: str) -> None:
    weight_map = build(name)
    stored, grad = noise(weight_map.num_stored), noise(N)
    weight_map.expand(stored)
    weight_map.reduce(grad)
    assert torch.equal(stored, noise(weight_map.num_stored))
    assert torch.equal(grad, noise(N))


@pytest.mark.parametrize("name", ["randomfold", "hashed", "balanced", "tiled"])
def test_coefficients_are_signed_scales_of_the_layers(name: str) -> None:
    coefficients = build(name).coefficients()
    assert coefficients.abs().tolist() == LAMBDAS
    assert len(set(coefficients.sign().tolist())) == 2


@pytest.mark.parametrize("name", MAPS)
def test_gradients_equal_those_of_a_plain_gather(name: str) -> None:
    weight_map = build(name)
    stored = noise(weight_map.num_stored).requires_grad_()
    plain = stored.detach().clone().requires_grad_()
    slots, coefficients = weight_map.slots(), weight_map.coefficients()
    weights = plain[slots.clamp(min=0)] * coefficients * (slots >= 0)
    recovered = weight_map.recover(stored)
    torch.testing.assert_close(recovered, weights, rtol=1e-13, atol=1e-13)
    target = noise(N, 3)
    (found,) = torch.autograd.grad(((recovered - target) ** 3).sum(), stored)
    (expected,) = torch.autograd.grad(((weights - target) ** 3).sum(), plain)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", MAPS)
def test_hessian_vector_products_equal_those_of_a_plain_gather(name: str) -> None:
    weight_map = build(name)
    matrix = torch.from_numpy(dense_matrix(weight_map))
    vector, target = noise(weight_map.num_stored, 9), noise(N, 3)
    products = []
    for recover in (weight_map.recover, lambda stored: matrix @ stored):
        stored = noise(weight_map.num_stored).requires_grad_()
        loss = ((recover(stored) - target) ** 4).sum()
        (gradient,) = torch.autograd.grad(loss, stored, create_graph=True)
        products.append(torch.autograd.grad(gradient @ vector, stored)[0])
    torch.testing.assert_close(products[0], products[1], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", MAPS)
def test_derivatives_of_any_order_match_finite_differences(name: str) -> None:
    weight_map = build(name, m=5)
    stored = noise(weight_map.num_stored).requires_grad_()

    def cubes(theta: torch.Tensor) -> torch.Tensor:
        return weight_map.recover(theta) ** 3

    assert torch.autograd.gradcheck(cubes, stored)
    assert torch.autograd.gradgradcheck(cubes, stored)


def test_selection_by_hand() -> None:
    weight_map = SelectionMap(5, torch.tensor([1, 4]))
    assert weight_map.slots().tolist() == [-1, 0, -1, -1, 1]
    assert weight_map.coefficients().tolist() == [0, 1, 0, 0, 1]
    assert weight_map.gram().tolist() == [1, 1]
    assert weight_map.expand(torch.tensor([7.0, 9.0])).tolist() == [0, 7, 0, 0, 9]
    assert weight_map.reduce(torch.arange(5.0)).tolist() == [1, 4]


@pytest.mark.parametrize("name", MAPS)
def test_maps_hold_no_parameters_and_save_nothing(name: str) -> None:
    weight_map = build(name)
    assert list(weight_map.parameters()) == []
    assert dict(weight_map.state_dict()) == {}


@pytest.mark.parametrize("name", MAPS)
def test_the_dtype_follows_the_module(name: str) -> None:
    """A third in float64 is not a third in float32: scales are not rounded on the way."""
    weight_map = copy.deepcopy(build(name)).float()
    if isinstance(weight_map, SharingMap):
        weight_map.scales = (1 / 3, 1 / 3, 1 / 3)
    assert weight_map.coefficients().dtype == torch.float32
    coefficients = weight_map.double().coefficients()
    assert coefficients.dtype == torch.float64
    if isinstance(weight_map, SharingMap):
        assert set(coefficients.abs().tolist()) == {1 / 3}
    assert weight_map.expand(noise(weight_map.num_stored)).dtype == torch.float64
    assert weight_map.slots().dtype == torch.int64
