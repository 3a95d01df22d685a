"""How far SGD with momentum turns a scale-invariant weight vector, and how long it keeps its norm.

A convolution before BatchNorm gives the same network for w and a w, so its gradient g is orthogonal
to w and falls as 1 / |w|; what a step changes is the direction of w. For gradients that are
independent of each other the expected norm and the turning per step follow a recursion of three
numbers (``follow``), whose steady state is a turning of sqrt(2 lr wd / (1 + momentum)) per step
(``equilibrium_angle``): Wan et al. 2020, Spherical Motion Dynamics (arXiv 2006.08419); Kosson,
Messmer and Jaggi 2023, Rotational Equilibrium (arXiv 2305.17212).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch


class Prediction(NamedTuple):
    """The expected course of some layers, float64; row t is before step t (counted from 0)."""

    norms: torch.Tensor  # (T + 1, L) |w|
    angles: torch.Tensor  # (T, L) radians between w before and after a step


def angle_between(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The angle in radians between two vectors (n,), computed in float64; nan if one is zero.

    By half the difference and half the sum of the directions (Kahan), as the arc cosine loses half
    the digits of a small angle.
    """
    one, other = first.double() / first.double().norm(), second.double() / second.double().norm()
    return 2 * torch.atan2((one - other).norm(), (one + other).norm())


def equilibrium_angle(rate: float, weight_decay: float, momentum: float) -> float:
    """The turning per step in radians that a constant rate and weight decay settle at.

    There growth and decay of |w|^2 cancel, (lr / (1 - mu))^2 |g|^2 = 2 lr wd / (1 - mu) |w|^2, and
    a step is lr times a sum of decaying gradients, whose square is |g|^2 / (1 - mu^2).
    """
    return math.sqrt(2 * rate * weight_decay / (1 + momentum))


def memory_steps(rate: float, weight_decay: float, momentum: float) -> float:
    """Steps in which weight decay alone divides |w|^2 by e, (1 - mu) / (2 lr wd)."""
    return (1 - momentum) / (2 * rate * weight_decay)


def forgotten_folds(rates: Sequence[float], weight_decay: float, momentum: float) -> float:
    """How many times weight decay alone divides |w|^2 by e over a training with these rates."""
    return 2 * weight_decay * sum(rates) / (1 - momentum)


def follow(
    start: torch.Tensor,
    rates: Sequence[float],
    unit_gradients: torch.Tensor,
    weight_decay: float,
    momentum: float,
) -> Prediction:
    """The expected norms and turnings for gradients orthogonal to w and to all gradients before.

    Exact for v <- mu v + g + wd w, w <- w - lr v, which starts at v = 0: |w|^2, <w, v> and |v|^2
    obey a closed recursion. With correlated gradients norms grow faster.

    Args:
        start: (L,) |w| before the first step.
        rates: T learning rates.
        unit_gradients: (T, L) |g| |w|, the norm that the gradient has at |w| = 1.
        weight_decay: As in the gradient of SGD: g + wd w.
        momentum: mu, without Nesterov's look ahead.
    """
    square = start.double().square()
    product, velocity = torch.zeros_like(square), torch.zeros_like(square)  # <w, v>, |v|^2
    norms, angles = [square.sqrt()], []
    for rate, unit in zip(rates, unit_gradients.double(), strict=True):
        gradient = unit.square() / square
        velocity = (
            momentum**2 * velocity
            + gradient
            + weight_decay**2 * square
            + 2 * momentum * weight_decay * product
        )
        along = momentum * product + weight_decay * square  # of w on the new v
        across = (velocity - along.square() / square).clamp(min=0).sqrt()
        angles.append(torch.atan2(rate * across, square.sqrt() - rate * along / square.sqrt()))
        square = square - 2 * rate * along + rate**2 * velocity
        product = along - rate * velocity
        norms.append(square.sqrt())
    return Prediction(torch.stack(norms), torch.stack(angles))


def first_agreement(first: torch.Tensor, second: torch.Tensor, tolerance: float) -> float:
    """The first step before which two courses of norms (T + 1,) differ by at most a share.

    nan if there is none. A course that ends early, as its loss was not finite, is compared so far.
    """
    length = min(len(first), len(second))
    ratio = first[:length] / second[:length]
    ratio = torch.maximum(ratio, 1 / ratio)
    found = (ratio <= 1 + tolerance).nonzero()
    return float(found[0]) if len(found) else math.nan
