"""The one idea of the benchmark: weights are a linear map of the stored values, w = A theta.

A is n x m with at most one non-zero per row. Pruning selects, sharing scatters. Columns have
disjoint supports, so A'A is diagonal (``gram``).
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import nn


class WeightMap(nn.Module, ABC):
    """The contract of a linear map A from m stored values to n weights.

    A subclass gives ``slots`` and ``coefficients``; it may replace ``expand`` and ``reduce`` by
    faster ways to the same numbers. It has no parameters and keeps nothing of size n, unless it
    is the identity.
    """

    anchor: torch.Tensor

    def __init__(self, num_weights: int, num_stored: int) -> None:
        super().__init__()
        self.num_weights = num_weights  # n
        self.num_stored = num_stored  # m
        # Holds no number: it only follows the module's device and floating dtype.
        self.register_buffer("anchor", torch.empty(0), persistent=False)

    @abstractmethod
    def slots(self) -> torch.Tensor:
        """(n,) int64: the stored value that each weight reads, -1 for a pruned weight."""

    @abstractmethod
    def coefficients(self) -> torch.Tensor:
        """(n,) the non-zero of each row of A, 0 for a pruned weight."""

    def gram(self) -> torch.Tensor:
        """(m,) the diagonal of A'A: the sum of squared coefficients over the weights of a slot."""
        return self.slot_sums(self.coefficients().square())

    def slot_sums(self, values: torch.Tensor) -> torch.Tensor:
        """(n,) values of the weights -> (m,) their sums over each slot."""
        slots = self.slots()
        kept = slots >= 0
        sums = torch.zeros(self.num_stored, dtype=values.dtype, device=values.device)
        return sums.index_add_(0, slots[kept], values[kept])

    def expand(self, stored: torch.Tensor) -> torch.Tensor:
        """A theta: (m,) stored values -> (n,) weights, without a gradient of its own."""
        return stored[self.slots().clamp_(min=0)] * self.coefficients()

    def reduce(self, grad_weights: torch.Tensor) -> torch.Tensor:
        """A' g: (n,) gradient of the weights -> (m,) gradient of the stored values."""
        return self.slot_sums(grad_weights * self.coefficients())

    def recover(self, stored: torch.Tensor) -> torch.Tensor:
        """w = A theta, differentiable any number of times in ``stored``."""
        recovered: torch.Tensor = _Recover.apply(stored, self)
        return recovered


class IdentityMap(WeightMap):
    """A = I: every weight is stored. The map of dense models and of narrower networks."""

    def __init__(self, num_weights: int) -> None:
        super().__init__(num_weights, num_weights)

    def slots(self) -> torch.Tensor:
        """(n,) 0, 1, 2, ..."""
        return torch.arange(self.num_weights, device=self.anchor.device)

    def coefficients(self) -> torch.Tensor:
        """(n,) ones."""
        return torch.ones(self.num_weights, dtype=self.anchor.dtype, device=self.anchor.device)

    def expand(self, stored: torch.Tensor) -> torch.Tensor:
        """The stored values themselves."""
        return stored.view_as(stored)

    def reduce(self, grad_weights: torch.Tensor) -> torch.Tensor:
        """The gradient itself."""
        return grad_weights.view_as(grad_weights)


class SelectionMap(WeightMap):
    """A selects: the kept weights are stored, the others are zero. The map of pruning."""

    kept: torch.Tensor

    def __init__(self, num_weights: int, kept: torch.Tensor) -> None:
        """``kept``: (m,) int64 positions of the kept weights, ascending."""
        super().__init__(num_weights, kept.numel())
        self.register_buffer("kept", kept, persistent=False)

    def slots(self) -> torch.Tensor:
        """(n,) the rank of a kept weight among the kept ones, -1 for the others."""
        slots = self.kept.new_full((self.num_weights,), -1)
        slots[self.kept] = torch.arange(self.num_stored, device=self.kept.device)
        return slots

    def coefficients(self) -> torch.Tensor:
        """(n,) the mask: 1 for a kept weight, 0 for the others."""
        mask = torch.zeros(self.num_weights, dtype=self.anchor.dtype, device=self.anchor.device)
        mask[self.kept] = 1.0
        return mask

    def expand(self, stored: torch.Tensor) -> torch.Tensor:
        """The stored values at their positions, zeros elsewhere."""
        weights = stored.new_zeros(self.num_weights)
        weights[self.kept] = stored
        return weights

    def reduce(self, grad_weights: torch.Tensor) -> torch.Tensor:
        """The gradient at the kept positions."""
        return grad_weights[self.kept]


class _Recover(torch.autograd.Function):
    """A theta, whose derivative is A'."""

    @staticmethod
    def forward(ctx: Any, stored: torch.Tensor, weight_map: WeightMap) -> torch.Tensor:
        ctx.weight_map = weight_map
        return weight_map.expand(stored)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _Reduce.apply(grads[0], ctx.weight_map), None


class _Reduce(torch.autograd.Function):
    """A' g, whose derivative is A."""

    @staticmethod
    def forward(ctx: Any, grad_weights: torch.Tensor, weight_map: WeightMap) -> torch.Tensor:
        ctx.weight_map = weight_map
        return weight_map.reduce(grad_weights)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _Recover.apply(grads[0], ctx.weight_map), None
