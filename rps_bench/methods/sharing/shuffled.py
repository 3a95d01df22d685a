"""A sharing map whose rows are permuted within each layer: a control for which weights share.

Each layer reads the same slots as often, with the same signs and scale, but at other places. What a
map owes to the order of its slots, such as runs that lie together, is gone; its loads stay.
"""

from collections.abc import Callable

import torch

from rps_bench.core.seeds import derive_key
from rps_bench.methods.sharing.feistel import permute
from rps_bench.methods.sharing.sharing_map import SharingMap
from rps_bench.methods.weight_map import WeightMap


class LayerShuffledMap(WeightMap):
    """P A: row i is row pi(i) of another map, pi a permutation within each layer.

    The permutations are computed from the map's seed whenever they are needed. A part of a layer
    costs as much as the whole layer.

    Args:
        inner: A, of any kind.
    """

    def __init__(self, inner: SharingMap) -> None:
        super().__init__(inner.num_weights, inner.num_stored)
        self.inner = inner

    def slots_between(self, start: int, stop: int) -> torch.Tensor:
        """The slots of A at pi(i)."""
        return self._rows(start, stop, self.inner.slots_between)

    def coefficients_between(self, start: int, stop: int) -> torch.Tensor:
        """The coefficients of A at pi(i)."""
        return self._rows(start, stop, self.inner.coefficients_between)

    def expand(self, stored: torch.Tensor) -> torch.Tensor:
        """The weights of A, moved within their layers."""
        return self.inner.expand(stored).index_select(0, self._places())

    def expand_range(self, stored: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Of each layer in the range its weights under A, moved."""
        return self._rows(
            start, stop, lambda begin, end: self.inner.expand_range(stored, begin, end)
        )

    def reduce(self, grad_weights: torch.Tensor) -> torch.Tensor:
        """A' of the gradient moved back."""
        moved_back = grad_weights.new_empty(self.num_weights)
        return self.inner.reduce(moved_back.index_copy_(0, self._places(), grad_weights))

    def _places(self) -> torch.Tensor:
        """(n,) int64: pi."""
        return self._rows(0, self.num_weights, self.inner.positions_between)

    def _rows(
        self, start: int, stop: int, read: Callable[[int, int], torch.Tensor]
    ) -> torch.Tensor:
        """(stop - start,) of a range, what ``read`` gives for whole layers, permuted in each."""
        key, pieces = derive_key(self.inner.seed, "shuffle"), []
        for number, (begin, end) in enumerate(self.inner.ranges):
            low, high = max(start, begin) - begin, min(stop, end) - begin
            if low < high:
                offsets = torch.arange(low, high, device=self.anchor.device)
                layer = offsets.new_tensor([number])  # each has a permutation of its own
                places = permute(offsets, torch.zeros_like(offsets), layer, end - begin, key)
                pieces.append(read(begin, end).index_select(0, places))
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)
