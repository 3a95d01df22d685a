"""The one idea of the benchmark: weights are a linear map of the stored values, w = A theta.

A is n x m with at most one non-zero per row. Pruning selects, sharing scatters. Columns have
disjoint supports, so A'A is diagonal (``gram``).
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import nn

from rps_bench.methods.placed import PlacedNumbers


class WeightMap(nn.Module, ABC):
    """The contract of a linear map A from m stored values to n weights.

    A subclass gives ``slots_between`` and ``coefficients_between``; it may replace
    ``expand_range`` and ``reduce`` by faster ways to the same numbers. It has no parameters and
    keeps nothing of size n, unless it is the identity. A range is of the flat w, at least one
    weight, 0 <= start < stop <= n; what is computed for it grows with its length, not with n.
    """

    anchor: torch.Tensor

    def __init__(self, num_weights: int, num_stored: int) -> None:
        super().__init__()
        self.num_weights = num_weights  # n
        self.num_stored = num_stored  # m
        # Holds no number: it only follows the module's device and floating dtype.
        self.register_buffer("anchor", torch.empty(0), persistent=False)

    @property
    def num_beside(self) -> int:
        """Numbers of 32 bits that are stored beside theta and count in a compression.

        Positions of kept weights do not: compression counts stored weights, by custom.
        """
        return 0

    @abstractmethod
    def slots_between(self, start: int, stop: int) -> torch.Tensor:
        """(stop - start,) int64: the stored value that each weight reads, -1 for a pruned one."""

    @abstractmethod
    def coefficients_between(self, start: int, stop: int) -> torch.Tensor:
        """(stop - start,) the non-zero of each row of A, 0 for a pruned weight."""

    def slots(self) -> torch.Tensor:
        """(n,) the slots of all weights."""
        return self.slots_between(0, self.num_weights)

    def coefficients(self) -> torch.Tensor:
        """(n,) the coefficients of all weights."""
        return self.coefficients_between(0, self.num_weights)

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
        return self.expand_range(stored, 0, self.num_weights)

    def expand_range(self, stored: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Rows start to stop of A theta, bit for bit those of ``expand``: (stop - start,)."""
        slots = self.slots_between(start, stop).clamp_(min=0)
        return stored[slots] * self.coefficients_between(start, stop)

    def reduce(self, grad_weights: torch.Tensor) -> torch.Tensor:
        """A' g: (n,) gradient of the weights -> (m,) gradient of the stored values."""
        return self.slot_sums(grad_weights * self.coefficients())

    def recover(self, stored: torch.Tensor) -> torch.Tensor:
        """w = A theta, differentiable any number of times in ``stored``."""
        recovered: torch.Tensor = _Recover.apply(stored, self)
        return recovered


class IdentityMap(WeightMap):
    """A = I: every weight is stored. The map of dense models and of narrower networks."""

    kind: ClassVar[str] = "identity"  # its name in files and states

    def __init__(self, num_weights: int) -> None:
        super().__init__(num_weights, num_weights)

    def slots_between(self, start: int, stop: int) -> torch.Tensor:
        """start, start + 1, ..."""
        return torch.arange(start, stop, device=self.anchor.device)

    def coefficients_between(self, start: int, stop: int) -> torch.Tensor:
        """Ones."""
        return torch.ones(stop - start, dtype=self.anchor.dtype, device=self.anchor.device)

    def expand_range(self, stored: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """The stored values themselves, a view."""
        return stored[start:stop]

    def reduce(self, grad_weights: torch.Tensor) -> torch.Tensor:
        """The gradient itself."""
        return grad_weights.view_as(grad_weights)


class SelectionMap(WeightMap):
    """A selects: the kept weights are stored, the others are zero. The map of pruning."""

    kind: ClassVar[str] = "selection"  # its name in files and states

    def __init__(self, num_weights: int, kept: torch.Tensor) -> None:
        """``kept``: (m,) int64 positions of the kept weights, ascending."""
        super().__init__(num_weights, kept.numel())
        self._kept = PlacedNumbers(kept)

    @property
    def kept(self) -> torch.Tensor:
        """(m,) int64 positions of the kept weights, ascending, on the map's device."""
        return self._kept.on(self.anchor.device)

    def slots_between(self, start: int, stop: int) -> torch.Tensor:
        """The rank of a kept weight among the kept ones, -1 for the others."""
        low, high, places = self._find_kept(start, stop)
        slots = self.kept.new_full((stop - start,), -1)
        slots[places] = torch.arange(low, high, device=self.kept.device)
        return slots

    def coefficients_between(self, start: int, stop: int) -> torch.Tensor:
        """The mask: 1 for a kept weight, 0 for the others."""
        _, _, places = self._find_kept(start, stop)
        mask = torch.zeros(stop - start, dtype=self.anchor.dtype, device=self.anchor.device)
        mask[places] = 1.0
        return mask

    def expand_range(self, stored: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """The stored values at their positions, zeros elsewhere."""
        low, high, places = self._find_kept(start, stop)
        weights = stored.new_zeros(stop - start)
        weights[places] = stored[low:high]
        return weights

    def reduce(self, grad_weights: torch.Tensor) -> torch.Tensor:
        """The gradient at the kept positions."""
        return grad_weights[self.kept]

    def _find_kept(self, start: int, stop: int) -> tuple[int, int, torch.Tensor]:
        """Ranks low to high of the kept weights in a range, and their places in it."""
        if stop - start == self.num_weights:  # all, without waiting for a GPU's answer
            return 0, self.num_stored, self.kept
        bounds = torch.tensor([start, stop], device=self.kept.device)
        low, high = torch.searchsorted(self.kept, bounds).tolist()
        return low, high, self.kept[low:high] - start


class _Recover(torch.autograd.Function):
    """A theta, whose derivative is A'."""

    @staticmethod
    def forward(stored: torch.Tensor, weight_map: WeightMap) -> torch.Tensor:
        return weight_map.expand(stored)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        _, ctx.weight_map = inputs

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _Reduce.apply(grads[0], ctx.weight_map), None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int, None], stored: torch.Tensor, weight_map: WeightMap
    ) -> tuple[torch.Tensor, int]:
        rows = stored.unbind(in_dims[0])
        return torch.stack([_Recover.apply(row, weight_map) for row in rows]), 0


class _Reduce(torch.autograd.Function):
    """A' g, whose derivative is A."""

    @staticmethod
    def forward(grad_weights: torch.Tensor, weight_map: WeightMap) -> torch.Tensor:
        return weight_map.reduce(grad_weights)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        _, ctx.weight_map = inputs

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _Recover.apply(grads[0], ctx.weight_map), None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int, None], grad_weights: torch.Tensor, weight_map: WeightMap
    ) -> tuple[torch.Tensor, int]:
        rows = grad_weights.unbind(in_dims[0])
        return torch.stack([_Reduce.apply(row, weight_map) for row in rows]), 0
