"""Closed-form variances of inner products estimated from m of n numbers.

All estimates are unbiased. Pruning keeps coordinates and multiplies by n/m; sharing takes the inner
product of A'x and A'y, where A has random signs. Desai and Shrivastava 2024 (arXiv 2310.11611)
compare pruning by coin flips with hashing; the other two are derived here in the same way.

Let C_ij be the event that coordinates i != j share a slot, and g the signs. Sharing adds sum g_i
g_j x_i y_j 1[C_ij] to <x, y>. In the second moment all products of signs average to zero except
those of a pair with itself: variance = sum over i < j of P(C_ij) (x_i y_j + x_j y_i)^2. No term is
negative, so RANDOMFOLD, which has no collisions within a fold, is never worse than hashing.
"""

import math
from collections.abc import Callable

import torch


def variance_of_coin_flips(x: torch.Tensor, y: torch.Tensor, num_stored: int) -> float:
    """The variance if each coordinate is kept with probability m/n: (n/m - 1) sum (x_i y_i)^2."""
    return (x.numel() / num_stored - 1) * (x * y).square().sum().item()


def variance_of_fixed_size(x: torch.Tensor, y: torch.Tensor, num_stored: int) -> float:
    """The variance if exactly m are kept: n^2/m (1 - m/n) S^2, S^2 the sample variance of x_i y_i.

    For sampling without replacement (Cochran 1977, theorem 2.2) only the spread of the products
    counts; equal products contribute nothing.
    """
    n = x.numel()
    return n * n / num_stored * (1 - num_stored / n) * (x * y).var(correction=1).item()


def variance_of_hashing(x: torch.Tensor, y: torch.Tensor, num_stored: int) -> float:
    """The variance if any two coordinates share a slot with probability 1/m."""
    return _sum_over_pairs(x, y) / num_stored


def variance_of_randomfold(x: torch.Tensor, y: torch.Tensor, num_stored: int) -> float:
    """The variance if only coordinates of different folds share a slot, with probability 1/m."""
    folds = zip(torch.split(x, num_stored), torch.split(y, num_stored), strict=True)
    within = sum(_sum_over_pairs(*fold) for fold in folds)
    return (_sum_over_pairs(x, y) - within) / num_stored


def _sum_over_pairs(x: torch.Tensor, y: torch.Tensor) -> float:
    """The sum over i < j of (x_i y_j + x_j y_i)^2: |x|^2 |y|^2 + <x, y>^2 - 2 sum (x_i y_i)^2."""
    squares = x.square().sum() * y.square().sum() + torch.dot(x, y).square()
    return (squares - 2 * (x * y).square().sum()).item()


VARIANCES: dict[str, Callable[[torch.Tensor, torch.Tensor, int], float]] = {
    "coin_flips": variance_of_coin_flips,
    "fixed_size": variance_of_fixed_size,
    "hashing": variance_of_hashing,
    "randomfold": variance_of_randomfold,
}


def estimate_variance(draws: torch.Tensor) -> tuple[float, float]:
    """The unbiased variance of (N,) draws and its standard error.

    Var(s^2) = (mu_4 - (N - 3) / (N - 1) sigma^4) / N, with moments estimated from the sample.
    """
    num_draws = draws.numel()
    variance = draws.var(correction=1).item()
    fourth = (draws - draws.mean()).pow(4).mean().item()
    square = (fourth - (num_draws - 3) / (num_draws - 1) * variance**2) / num_draws
    return variance, math.sqrt(max(square, 0.0))
