"""The six gradient scalings against loops over the slots, and what they do to training."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.methods import build_method
from rps_bench.methods.base import Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import Layout
from rps_bench.methods.scaling import SCALINGS, gradient_scale
from rps_bench.methods.sharing.balanced import BalancedMap
from rps_bench.methods.sharing.hashed import HashedMap
from rps_bench.methods.sharing.randomfold import RandomFoldMap
from rps_bench.methods.sharing.tiles import TiledMap
from rps_bench.methods.weight_map import IdentityMap, SelectionMap, WeightMap

LAYOUT: Layout = (("a.weight", (5, 6)), ("b.weight", (4, 5)))
SCALES = (0.5, 3.0)
LAMBDAS = [0.5] * 30 + [3.0] * 20

# From the lambdas of one slot's weights, as in the spec's list.
BY_HAND: dict[str, Callable[[list[float]], float]] = {
    "none": lambda lambdas: 1.0,
    "gram": lambda lambdas: sum(x * x for x in lambdas),
    "squared_mean": lambda lambdas: sum(lambdas) ** 2 / len(lambdas),
    "sum": lambda lambdas: sum(lambdas),
    "mean": lambda lambdas: sum(lambdas) / len(lambdas),
    "root_gram": lambda lambdas: math.sqrt(sum(x * x for x in lambdas)),
}
MAPS: tuple[WeightMap, ...] = (
    RandomFoldMap(LAYOUT, SCALES, 17, 0),
    BalancedMap(LAYOUT, SCALES, 17, 0),
    HashedMap(LAYOUT, SCALES, 40, 0),
    TiledMap(LAYOUT, SCALES, 45, 0, 2),
)


def test_the_scalings_are_those_of_the_spec() -> None:
    assert set(SCALINGS) == set(BY_HAND)


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("weight_map", MAPS, ids=lambda weight_map: type(weight_map).__name__)
def test_scale_equals_a_loop_over_slots(weight_map: WeightMap, scaling: str) -> None:
    weight_map = weight_map.double()
    readers: list[list[float]] = [[] for _ in range(weight_map.num_stored)]
    for slot, scale in zip(weight_map.slots().tolist(), LAMBDAS, strict=True):
        readers[slot].append(scale)
    if isinstance(weight_map, HashedMap | TiledMap):
        assert any(not lambdas for lambdas in readers), "this seed should leave a slot unused"
    expected = [BY_HAND[scaling](lambdas) if lambdas else 1.0 for lambdas in readers]
    assert gradient_scale(weight_map, scaling).tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_pruning_and_identity_have_ones(scaling: str) -> None:
    for weight_map in (SelectionMap(6, torch.tensor([1, 3])), IdentityMap(4)):
        scale = gradient_scale(weight_map, scaling)
        assert scale.tolist() == [1.0] * weight_map.num_stored


def test_unused_slots_have_no_gradient(plain: nn.Module, probe: Probe) -> None:
    for name, options in (("hashednet", {}), ("roast", {"tile": 3})):
        method = build_method(name, 2, scaling="gram", **options)
        compressed = method.compress(plain, probe)
        slots = compressed.weight_map.slots()
        unused = torch.bincount(slots, minlength=len(compressed.stored)) == 0
        assert unused.any(), name
        F.cross_entropy(compressed(probe[0]), probe[1]).backward()  # type: ignore[no-untyped-call]
        grad = compressed.stored.grad
        assert grad is not None
        assert not grad[unused].any()
        assert bool((compressed.gradient_scale()[unused] == 1).all())
        assert bool((grad[~unused] != 0).all())


@pytest.mark.parametrize("name", ["stable_rps", "roast", "hashednet", "rpg"])
def test_default_scalings(name: str, plain: nn.Module, probe: Probe) -> None:
    options = {"tile": 2} if name == "roast" else {}
    compressed = build_method(name, 10, **options).compress(plain, probe)
    assert compressed.scaling == ("gram" if name == "stable_rps" else "none")


def losses(compressed: CompressedModel, probe: Probe, lr: float, num_steps: int) -> list[float]:
    """Of plain gradient descent with weight decay on everything."""
    images, labels = probe[0].double(), probe[1]
    optimizer = torch.optim.SGD(compressed.parameters(), lr, momentum=0.9, weight_decay=1e-2)
    found = []
    for _ in range(num_steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(compressed(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize("scaling", SCALINGS)
def test_only_gram_and_squared_mean_forget_the_init_std(
    scaling: str, plain: nn.Module, probe: Probe
) -> None:
    runs = []
    for init_std in (0.01, 1.0):
        method = build_method("stable_rps", 4, 0, scaling=scaling, init_std=init_std)
        compressed = method.compress(plain.double(), probe)
        runs.append(losses(compressed, probe, 0.05, 8))
    difference = max(abs(a - b) for a, b in zip(*runs, strict=True))
    if scaling in ("gram", "squared_mean"):
        assert difference < 1e-10
    else:
        assert not difference < 1e-4


def test_gram_makes_descent_on_theta_projected_descent_on_w(plain: nn.Module, probe: Probe) -> None:
    """A step on theta moves w by the projection of the dense step onto the range of A."""
    compressed = build_method("stable_rps", 4).compress(plain.double(), probe)
    before = compressed.weights().detach()
    dense = compressed.to_dense()
    images, labels = probe[0].double(), probe[1]
    weights = [
        layer.weight for layer in dense.modules() if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    dense_loss = F.cross_entropy(dense(images), labels)
    parts = torch.autograd.grad(dense_loss, weights)
    gradient = torch.cat([part.reshape(-1) for part in parts])
    matrix = torch.zeros(len(before), len(compressed.stored), dtype=torch.float64)
    matrix[torch.arange(len(before)), compressed.weight_map.slots()] = (
        compressed.weight_map.coefficients()
    )
    projector = matrix @ torch.linalg.pinv(matrix)
    loss = F.cross_entropy(compressed(images), labels)
    (grad,) = torch.autograd.grad(loss, [compressed.stored])
    with torch.no_grad():
        compressed.stored.sub_(0.1 * grad)
    moved = compressed.weights().detach() - before
    torch.testing.assert_close(moved, -0.1 * projector @ gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("name", ["stable_rps", "hashednet"])
def test_backward_alone_gives_the_scaled_gradient(
    name: str, scaling: str, plain: nn.Module, probe: Probe
) -> None:
    """In anybody's loop: A' g divided by s, g the dense network's gradient, bit for bit."""
    compressed = build_method(name, 7, scaling=scaling).compress(plain, probe).eval()
    scale = compressed.gradient_scale()
    F.cross_entropy(compressed(probe[0]), probe[1]).backward()  # type: ignore[no-untyped-call]
    dense = compressed.to_dense().eval()
    F.cross_entropy(dense(probe[0]), probe[1]).backward()  # type: ignore[no-untyped-call]
    grads = [p.grad.reshape(-1) for p in dense.parameters() if p.dim() > 1 and p.grad is not None]
    expected = compressed.weight_map.reduce(torch.cat(grads)) / scale
    assert compressed.stored.grad is not None
    assert torch.equal(compressed.stored.grad, expected)
    if scaling != "none":
        assert not torch.equal(compressed.stored.grad, expected * scale)


def test_the_scale_follows_dtype_and_copies(plain: nn.Module, probe: Probe) -> None:
    compressed = build_method("stable_rps", 7).compress(plain, probe)
    for model in (compressed, copy.deepcopy(compressed).double()):
        images = probe[0].to(model.stored.dtype)
        F.cross_entropy(model(images), probe[1]).backward()  # type: ignore[no-untyped-call]
        assert model.stored.grad is not None
        assert model.stored.grad.dtype == model.stored.dtype
    exact = build_method("stable_rps", 7).compress(plain.double(), (probe[0].double(), probe[1]))
    assert torch.equal(model.gradient_scale(), exact.gradient_scale())
