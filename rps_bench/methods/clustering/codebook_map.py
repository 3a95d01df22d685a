"""The map of a codebook: each weight is one of k values, w = codebook[index]."""

from typing import ClassVar

import torch

from rps_bench.methods.placed import PlacedNumbers
from rps_bench.methods.weight_map import WeightMap

MOST_VALUES = 256  # an index is a byte in memory


class CodebookMap(WeightMap):
    """A has a single 1 in each row, at the weight's index; theta is the codebook.

    The indices are stored beside theta, as they follow from trained weights: log2(k) bits each.
    """

    kind: ClassVar[str] = "codebook"  # its name in files and states

    def __init__(self, indices: torch.Tensor, num_stored: int) -> None:
        """``indices``: (n,) uint8, below ``num_stored``, a power of two from 2 to 256."""
        super().__init__(indices.numel(), num_stored)
        self._indices = PlacedNumbers(indices)

    @property
    def indices(self) -> torch.Tensor:
        """(n,) uint8, on the map's device."""
        return self._indices.on(self.anchor.device)

    @property
    def index_bits(self) -> int:
        """Bits of an index, log2(k)."""
        return self.num_stored.bit_length() - 1

    @property
    def num_beside(self) -> int:
        """Numbers of 32 bits that the indices of all weights take."""
        return -(-self.num_weights * self.index_bits // 32)

    def slots_between(self, start: int, stop: int) -> torch.Tensor:
        """The indices."""
        return self.indices[start:stop].long()

    def coefficients_between(self, start: int, stop: int) -> torch.Tensor:
        """Ones."""
        return torch.ones(stop - start, dtype=self.anchor.dtype, device=self.anchor.device)

    def expand_range(self, stored: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """The values at the indices."""
        return stored.index_select(0, self.indices[start:stop].int())

    def reduce(self, grad_weights: torch.Tensor) -> torch.Tensor:
        """The sum of the gradients of each value's members, which are many: in float64."""
        sums = grad_weights.new_zeros(self.num_stored, dtype=torch.float64)
        sums.index_add_(0, self.indices.int(), grad_weights.double())
        return sums.to(grad_weights.dtype)
