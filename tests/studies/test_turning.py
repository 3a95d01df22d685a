"""The recursion of norms and turnings against SGD itself, where its assumptions hold exactly."""

import itertools
import math

import pytest
import torch

from rps_bench.studies.turning import (
    angle_between,
    equilibrium_angle,
    first_agreement,
    follow,
    forgotten_folds,
    memory_steps,
)


def descend(
    start: torch.Tensor, gradients: list[torch.Tensor], rates: list[float], decay: float, mu: float
) -> list[torch.Tensor]:
    """The weights before each step of PyTorch's SGD, and after the last, float64.

    The gradient of a step is the given one divided by |w|, as before BatchNorm.
    """
    weight = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.SGD([weight], lr=1.0, momentum=mu, weight_decay=decay)
    course = [weight.detach().clone()]
    for gradient, rate in zip(gradients, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        weight.grad = gradient / weight.detach().norm()
        optimizer.step()
        course.append(weight.detach().clone())
    return course


def norms_and_angles(course: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    pairs = itertools.pairwise(course)
    angles = torch.stack([angle_between(one, other) for one, other in pairs])
    return torch.stack([weight.norm() for weight in course]), angles


@pytest.mark.parametrize("mu", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("decay", [0.0, 1e-4, 0.05])
def test_it_is_exact_for_gradients_orthogonal_to_all_before(mu: float, decay: float) -> None:
    """w starts on the first axis, and the gradient of step t lies on axis t."""
    steps = 60
    axes = torch.eye(steps + 1, dtype=torch.float64)
    sizes = torch.linspace(0.5, 3.0, steps, dtype=torch.float64)
    rates = [0.3 * (1 - t / steps) for t in range(steps)]
    gradients = [size * axis for size, axis in zip(sizes, axes[1:], strict=True)]
    norms, angles = norms_and_angles(descend(2.0 * axes[0], gradients, rates, decay, mu))
    found = follow(torch.tensor([2.0]), rates, sizes[:, None], decay, mu)
    torch.testing.assert_close(found.norms[:, 0], norms, rtol=1e-12, atol=0)
    torch.testing.assert_close(found.angles[:, 0], angles, rtol=1e-10, atol=1e-14)


def test_decay_alone_shrinks_and_turns_nothing() -> None:
    zeros = torch.zeros(50, 1, dtype=torch.float64)
    found = follow(torch.tensor([3.0]), [0.1] * 50, zeros, 0.02, 0.0)
    expected = 3.0 * (1 - 0.1 * 0.02) ** torch.arange(51, dtype=torch.float64)
    torch.testing.assert_close(found.norms[:, 0], expected, rtol=1e-13, atol=0)
    assert found.angles.abs().max() < 1e-7  # the square root of a rounding


def test_the_norm_is_forgotten_in_the_steps_of_memory() -> None:
    rate, decay, mu = 0.1, 1e-3, 0.9
    steps = round(memory_steps(rate, decay, mu))
    assert steps == 500
    zeros = torch.zeros(steps, 1, dtype=torch.float64)
    # Momentum takes 1 / (1 - mu) steps to its full speed.
    square = follow(torch.tensor([1.0]), [rate] * steps, zeros, decay, mu).norms[-1].item() ** 2
    assert math.log(square) == pytest.approx(-1, abs=2 / (1 - mu) / steps)
    assert forgotten_folds([rate] * steps, decay, mu) == pytest.approx(1.0)


def test_starts_are_forgotten_in_the_fourth_power_of_the_norm() -> None:
    """d|w|^4/dt = -4 lr wd / (1 - mu) |w|^4 + growth: the difference of two starts just decays."""
    rate, decay, mu, steps = 0.05, 1e-3, 0.9, 2000
    unit = torch.full((steps, 2), 0.5, dtype=torch.float64)
    norms = follow(torch.tensor([3.0, 1.0]), [rate] * steps, unit, decay, mu).norms
    difference = (norms[:, 0] ** 4 - norms[:, 1] ** 4).log()
    slope = float(difference[-1] - difference[1000]) / 999
    assert slope == pytest.approx(-4 * rate * decay / (1 - mu), rel=0.03)
    assert 0 < first_agreement(norms[:, 0], norms[:, 1], 0.1) < steps


@pytest.mark.parametrize("mu", [0.0, 0.9])
@pytest.mark.parametrize("start", [0.1, 10.0])
def test_it_settles_at_the_equilibrium(mu: float, start: float) -> None:
    rate, decay = 0.1, 1e-2
    steps = round(15 * memory_steps(rate, decay, mu))
    unit = torch.full((steps, 1), 0.7, dtype=torch.float64)
    angles = follow(torch.tensor([start]), [rate] * steps, unit, decay, mu).angles
    # The closed form is of small rate times decay; momentum's 1 / (1 - mu) steps count against it.
    assert angles[-1].item() == pytest.approx(equilibrium_angle(rate, decay, mu), rel=0.02)


@pytest.mark.parametrize("mu", [0.0, 0.9])
def test_a_scale_invariant_layer_with_noise_for_gradients(mu: float) -> None:
    """The loss of each step is linear in the direction w / |w|, a fresh random one."""
    size, steps, decay = 2000, 400, 0.01
    rate = 1 - mu  # the norm is forgotten in 50 steps
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(size, generator=generator, dtype=torch.float64)
    weight = torch.nn.Parameter(20 * weight / weight.norm())
    optimizer = torch.optim.SGD([weight], lr=rate, momentum=mu, weight_decay=decay)
    course, unit = [weight.detach().clone()], []
    for _ in range(steps):
        slope = torch.randn(size, generator=generator, dtype=torch.float64)
        optimizer.zero_grad()
        (slope @ (weight / weight.norm())).backward()
        assert weight.grad is not None
        assert abs(float(weight.grad @ weight.detach())) < 1e-10  # scale invariant
        unit.append(weight.grad.norm() * weight.detach().norm())
        optimizer.step()
        course.append(weight.detach().clone())
    norms, angles = norms_and_angles(course)
    found = follow(norms[:1], [rate] * steps, torch.stack(unit)[:, None], decay, mu)
    assert (found.norms[:, 0] / norms - 1).abs().max() < 0.03
    assert (found.angles[:, 0] / angles - 1).abs().max() < 0.1
    assert angles[-1].item() == pytest.approx(equilibrium_angle(rate, decay, mu), rel=0.15)


def test_angles_are_good_to_the_last_digits() -> None:
    first = torch.tensor([1.0, 0.0, 0.0])
    for angle in (1e-9, 1e-3, 1.0, 3.0):
        turned = torch.tensor([math.cos(angle), math.sin(angle), 0.0], dtype=torch.float64)
        assert angle_between(5 * first, 0.2 * turned).item() == pytest.approx(angle, rel=1e-12)
    assert angle_between(first, torch.zeros(3)).isnan()


def test_the_first_agreement() -> None:
    first = torch.tensor([4.0, 2.0, 1.0, 1.0])
    second = torch.tensor([1.0, 1.0, 0.95, 2.0, 3.0])  # the other one ended early
    assert first_agreement(first, second, 0.1) == 2
    assert math.isnan(first_agreement(first, second, 0.01))
