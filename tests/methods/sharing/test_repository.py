"""How theta starts: drawn, or the least-squares fit of the dense init."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from rps_bench.methods import build_method, methods_of
from rps_bench.methods.base import Probe
from rps_bench.methods.layout import flatten_weights
from rps_bench.models import build_model

SHARING = methods_of("sharing")


def options_of(name: str) -> dict[str, int]:
    return {"tile": 2} if name == "roast" else {}


@pytest.mark.parametrize("compression", [1, 3.16, 20])
@pytest.mark.parametrize("name", SHARING)
def test_projection_is_numpys_least_squares(
    name: str, compression: float, plain: nn.Module, probe: Probe
) -> None:
    plain.double()
    compressed = build_method(
        name, compression, repository_init="project", **options_of(name)
    ).compress(plain, probe)
    slots, coefficients = compressed.weight_map.slots(), compressed.weight_map.coefficients()
    matrix = np.zeros((268, compressed.stored.numel()))
    for row, (slot, value) in enumerate(zip(slots.tolist(), coefficients.tolist(), strict=True)):
        matrix[row, slot] = value
    # Of the shortest solutions: 0 in a slot that no weight reads.
    expected = np.linalg.lstsq(matrix, flatten_weights(plain).numpy(), rcond=None)[0]
    np.testing.assert_allclose(compressed.stored.detach().numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["stable_rps", "rpg"])
def test_projection_at_compression_one_is_the_dense_init(
    name: str, resnet: nn.Module, probe: Probe
) -> None:
    images = probe[0].double()
    compressed = build_method(name, 1, repository_init="project").compress(resnet.double(), probe)
    weights = flatten_weights(resnet)
    torch.testing.assert_close(compressed.weights().detach(), weights, rtol=1e-14, atol=0)
    torch.testing.assert_close(
        compressed.eval()(images), resnet.eval()(images), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("init", ["normal", "uniform"])
@pytest.mark.parametrize("init_std", [0.04, 1.0])
def test_draws_have_the_range_asked_for(
    init: str, init_std: float, resnet: nn.Module, probe: Probe
) -> None:
    method = build_method("stable_rps", 2, repository_init=init, init_std=init_std)
    stored = method.compress(resnet, probe).stored.detach().double() / init_std
    std = 1.0 if init == "normal" else 1 / math.sqrt(3)
    assert stored.std().item() == pytest.approx(std, rel=5 / math.sqrt(2 * stored.numel()))
    assert abs(stored.mean().item()) < 5 * std / math.sqrt(stored.numel())
    beyond_two = (stored.abs() > 2).double().mean().item()
    if init == "normal":
        assert beyond_two == pytest.approx(0.0455, abs=0.01)
    else:
        assert stored.abs().max() <= 1
        assert beyond_two == 0


@pytest.mark.parametrize("compression", [3.16, 100])
@pytest.mark.parametrize("name", [*SHARING, "rand"])
def test_a_matched_start_has_the_norm_that_random_pruning_leaves(
    name: str, compression: float, probe: Probe
) -> None:
    """Both in expectation: |w|^2 is (m / n) sum of n_l std_l^2, five standard errors allowed."""
    options = {"repository_init": "matched", **options_of(name)} if name in SHARING else {}
    squares = []
    for seed in range(8):
        model = build_model("resnet20", 10, 4, torch.Generator().manual_seed(seed))
        compressed = build_method(name, compression, seed, **options).compress(model, probe)
        squares.append(compressed.weights().detach().double().square().sum())
    variances = torch.cat(
        [torch.full((math.prod(s),), 2 / math.prod(s[1:])) for _, s in compressed.layout]
    ).double()
    m = compressed.stored.numel()
    expected = (variances.sum() * m / len(variances)).item()
    gram = compressed.weight_map.gram().double()
    if name in SHARING:  # the variance of sum of gram_j theta_j^2, theta Gaussian
        relative = 2 * (gram.square().sum() / gram.sum().square()).item()
    else:  # m independent draws of a weight, whose fourth moment is 3 std^4
        relative = (3 * variances.square().mean() / variances.mean().square() - 1).item() / m
    found = torch.stack(squares).mean().item()
    assert found == pytest.approx(expected, rel=5 * math.sqrt(relative / len(squares)))


@pytest.mark.parametrize("name", SHARING)
def test_a_matched_start_is_a_normal_one_made_smaller(
    name: str, resnet: nn.Module, probe: Probe
) -> None:
    def draw(init: str, compression: float) -> torch.Tensor:
        method = build_method(name, compression, repository_init=init, **options_of(name))
        return method.compress(resnet, probe).stored.detach()

    assert torch.equal(draw("matched", 1), draw("normal", 1))
    n = flatten_weights(resnet).numel()
    smaller = draw("normal", 7) / math.sqrt(n / (n // 7))
    torch.testing.assert_close(draw("matched", 7), smaller, rtol=1e-6, atol=0)


@pytest.mark.parametrize("init", ["normal", "uniform", "matched"])
def test_draws_come_from_the_methods_seed_alone(init: str, resnet: nn.Module, probe: Probe) -> None:
    def draw(seed: int) -> torch.Tensor:
        torch.manual_seed(torch.seed())
        method = build_method("rpg", 10, seed=seed, repository_init=init)
        return method.compress(resnet, probe).stored

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))
