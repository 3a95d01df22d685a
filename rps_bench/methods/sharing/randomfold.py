"""RANDOMFOLD: w is folded into rows of m weights, each row a rotation of the repository.

Desai and Shrivastava 2024 (arXiv 2310.11611), section 4: with fold k = floor(i / m) and offset
o = i mod m, slot = (u(k) + o) mod m. Every slot serves floor(n/m) or ceil(n/m) weights.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from rps_bench.methods.sharing.base import SharingMethod
from rps_bench.methods.sharing.hashing import hash_below
from rps_bench.methods.sharing.kernels.layout import Kernel
from rps_bench.methods.sharing.sharing_map import SharingMap

LONG_RUN = 1 << 15  # slots from which on runs are copied one by one, not many at once
Run = tuple[int, int, int]  # weights from, to, and the slot of the first


class RandomFoldMap(SharingMap):
    """Whole contiguous runs: recovering copies a row per fold, without an index per weight."""

    kind = "randomfold"
    kernel = Kernel("randomfold_slots", "randomfold_offsets")

    def rotations(self) -> torch.Tensor:
        """(K,) u(k) of each of the K = ceil(n / m) folds."""
        return self.rotations_between(0, self.num_weights)

    def rotations_between(self, start: int, stop: int) -> torch.Tensor:
        """u(k) of each fold that has a weight in a range."""
        m = self.num_stored
        folds = torch.arange(start // m, -(-stop // m), device=self.anchor.device)
        return hash_below(self.key("slot"), folds, m)

    def slots_between(self, start: int, stop: int) -> torch.Tensor:
        """(u(k) + o) mod m, which is (u(k) + i) mod m."""
        # One rotation for each fold, spread over its weights; o and i differ by a multiple of m.
        m, positions = self.num_stored, self.positions_between(start, stop)
        rotations = self.rotations_between(start, stop)[positions // m - start // m]
        return rotations.add_(positions).remainder_(m)

    def expand_range(self, stored: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Rows of A theta as copies of runs, each times its coefficients."""
        expand = self._expand_runs if self._goes_by_run(stop - start) else self._expand_folds
        return expand(stored.detach(), start, stop)

    def reduce_in_torch(self, grad_weights: torch.Tensor) -> torch.Tensor:
        """A' g as sums of runs, each slot's in a fixed order of the folds."""
        by_run = self._goes_by_run(self.num_weights)
        return self._reduce_runs(grad_weights) if by_run else self._reduce_folds(grad_weights)

    def _goes_by_run(self, num_weights: int) -> bool:
        """Whether a range's runs are few and long.

        On a GPU the host waits for where they begin: there only for ranges shorter than a fold, of
        which the other way would copy whole folds.
        """
        is_on_cpu = self.anchor.device.type == "cpu"
        return num_weights < self.num_stored or (is_on_cpu and self.num_stored >= LONG_RUN)

    def _runs(self, start: int, stop: int, rotations: Mapping[int, int]) -> Iterator[Run]:
        """The runs of a range, in order: weights begin to end read theta from slot on.

        Args:
            start, stop: The range.
            rotations: u(k) of its folds, by k.
        """
        m = self.num_stored
        for fold in range(start // m, -(-stop // m)):
            begin, end = max(start, fold * m), min(stop, (fold + 1) * m)
            slot = (rotations[fold] + begin) % m
            wrap = min(end, begin + m - slot)  # where theta ends and the run goes on at its start
            yield begin, wrap, slot
            if wrap < end:
                yield wrap, end, 0

    def _expand_runs(self, stored: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Run by run, for folds that are long or few."""
        # A run is two slices and one product: no index is made, and memory is read in order.
        weights, rotations = stored.new_empty(stop - start), self._rotations_from(start, stop)
        for low, high, coefficients in self.blocks(start, stop):
            for begin, end, slot in self._runs(low, high, rotations):
                torch.mul(
                    stored[slot : slot + end - begin],
                    coefficients[begin - low : end - low],
                    out=weights[begin - start : end - start],
                )
        return weights

    def _reduce_runs(self, grad_weights: torch.Tensor) -> torch.Tensor:
        sums = grad_weights.new_zeros(self.num_stored)
        # Fold after fold, so that each slot's sum has one order on every CPU.
        rotations = self._rotations_from(0, self.num_weights)
        for low, high, coefficients in self.blocks(0, self.num_weights):
            products = coefficients.mul_(grad_weights[low:high])
            for begin, end, slot in self._runs(low, high, rotations):
                sums[slot : slot + end - begin].add_(products[begin - low : end - low])
        return sums

    def _rotations_from(self, start: int, stop: int) -> dict[int, int]:
        """u(k) by k, of the folds of a range."""
        rotations = self.rotations_between(start, stop).tolist()
        return dict(enumerate(rotations, start // self.num_stored))

    def _expand_folds(self, stored: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """All folds at once: fold k is the window of m at u(k) of theta laid out twice."""
        m = self.num_stored
        # unfold makes views only: window u of theta theta is theta turned by u. One index_select
        # then copies a whole fold per row, and its end (of the last fold) is cut off.
        windows = torch.cat((stored, stored)).unfold(0, m, 1)  # (m + 1, m)
        folds = windows.index_select(0, self.rotations_between(start, stop))
        weights = folds.view(-1)[start % m :][: stop - start]
        for low, high, coefficients in self.blocks(start, stop):
            weights[low - start : high - start].mul_(coefficients)
        return weights

    def _reduce_folds(self, grad_weights: torch.Tensor) -> torch.Tensor:
        """Many folds at once: each laid out twice and read from m - u(k), then all summed."""
        m, starts = self.num_stored, self.num_stored - self.rotations()
        sums = grad_weights.new_zeros(m)
        for low, high, coefficients in self.blocks(0, self.num_weights, m):
            turned_back = starts[low // m : -(-high // m)]
            products = coefficients.mul_(grad_weights[low:high])
            # Zeros for what the last fold lacks add nothing to any slot.
            missing = len(turned_back) * m - len(products)
            folds = torch.nn.functional.pad(products, (0, missing)) if missing else products
            # Turning back by u is turning on by m - u. Fold j, laid out twice, begins at 2 m j.
            windows = folds.view(-1, 1, m).repeat(1, 2, 1).view(-1).unfold(0, m, 1)
            first = torch.arange(len(turned_back), device=starts.device).mul_(2 * m)
            sums += windows.index_select(0, first.add_(turned_back)).sum(0)
        return sums


@dataclass(frozen=True)
class StableRPS(SharingMethod):
    """STABLE-RPS: RANDOMFOLD with the theorem's gradient scaling."""

    name: ClassVar[str] = "stable_rps"
    map_type: ClassVar[type[SharingMap]] = RandomFoldMap
    scaling: str = "gram"
