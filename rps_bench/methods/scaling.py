"""Gradient scalings s: theta's gradient is divided by s on its way back.

With s = gram, plain gradient descent on theta is projected gradient descent on w, so its stable
learning rates are those of the dense model (Desai and Shrivastava 2024, section 5). Only ``gram``
and ``squared_mean`` make training independent of the repository's init std.
"""

from collections.abc import Callable
from typing import Any

import torch

from rps_bench.methods.weight_map import WeightMap

# Each takes (sum of lambda^2, sum of lambda, number of weights) of every slot, lambda = |A_ij|.
SCALINGS: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "none": lambda squares, sums, counts: torch.ones_like(squares),
    "gram": lambda squares, sums, counts: squares,
    "squared_mean": lambda squares, sums, counts: sums.square() / counts,
    "sum": lambda squares, sums, counts: sums,
    "mean": lambda squares, sums, counts: sums / counts,
    "root_gram": lambda squares, sums, counts: squares.sqrt(),
}


def gradient_scale(weight_map: WeightMap, scaling: str) -> torch.Tensor:
    """(m,) s of every stored value, 1 where no weight uses it, in the map's dtype.

    Args:
        weight_map: The map A.
        scaling: A name of ``SCALINGS``.
    """
    magnitudes = weight_map.coefficients().double().abs()
    counts = weight_map.slot_sums(torch.ones_like(magnitudes))
    squares = weight_map.slot_sums(magnitudes.square())
    scale = SCALINGS[scaling](squares, weight_map.slot_sums(magnitudes), counts)
    return torch.where(counts > 0, scale, 1.0).to(weight_map.anchor.dtype)


def scale_gradient(stored: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """The (m,) stored values themselves, whose gradient will be divided by the (m,) scale."""
    same: torch.Tensor = _ScaleGradient.apply(stored, scale)
    return same


class _ScaleGradient(torch.autograd.Function):
    """The identity with a divided gradient."""

    @staticmethod
    def forward(stored: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return stored.view_as(stored)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        # Not saved for one backward pass: checkpointed blocks of a network go through it again.
        ctx.scale = inputs[1]

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grads[0] / ctx.scale, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int, None], stored: torch.Tensor, scale: torch.Tensor
    ) -> tuple[torch.Tensor, int]:
        return _ScaleGradient.apply(stored.movedim(in_dims[0], 0), scale), 0
