"""RANDOMFOLD: w is folded into rows of m weights, each row a rotation of the repository.

Desai and Shrivastava 2024 (arXiv 2310.11611), section 4: with fold k = floor(i / m) and offset
o = i mod m, slot = (u(k) + o) mod m. Every slot serves floor(n/m) or ceil(n/m) weights.
"""

import torch

from rps_bench.methods.sharing.hashing import hash_below
from rps_bench.methods.sharing.sharing_map import SharingMap


class RandomFoldMap(SharingMap):
    """Whole contiguous runs: recovering copies a row per fold, without an index per weight."""

    kind = "randomfold"

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
        m, positions = self.num_stored, self.positions_between(start, stop)
        rotations = self.rotations_between(start, stop)[positions // m - start // m]
        return rotations.add_(positions).remainder_(m)

    def expand_range(self, stored: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Rows of A theta as copies of runs, whole folds at once."""
        is_short = stop - start < self.num_stored
        copy = self._copy_runs if is_short else self._copy_folds
        weights = copy(stored, start, stop).mul_(self.signs_between(start, stop))
        return self.scale_layers_(weights, start)

    def _copy_folds(self, stored: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Fold k is the window of m at u(k) of theta laid out twice."""
        m = self.num_stored
        windows = torch.cat((stored, stored)).unfold(0, m, 1)  # (m + 1, m)
        folds = windows.index_select(0, self.rotations_between(start, stop))
        return folds.view(-1)[start % m :][: stop - start]

    def _copy_runs(self, stored: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """A range shorter than a fold: up to two folds' parts, each a run that may wrap around."""
        m, runs = self.num_stored, []
        for fold, rotation in enumerate(self.rotations_between(start, stop).tolist(), start // m):
            low, high = max(start, fold * m), min(stop, (fold + 1) * m)
            slot, length = (rotation + low) % m, high - low
            runs += [stored[slot : slot + length], stored[: max(0, slot + length - m)]]
        return torch.cat(runs)

    def reduce(self, grad_weights: torch.Tensor) -> torch.Tensor:
        """A' g as row copies back: each fold laid out twice, read from m - u(k), then summed."""
        m, rotations = self.num_stored, self.rotations()
        signed = self.scale_layers_(grad_weights * self.signs())
        padding = rotations.numel() * m - self.num_weights
        folds = torch.nn.functional.pad(signed, (0, padding)).view(-1, m)  # (K, m)
        starts = torch.arange(rotations.numel(), device=rotations.device) * (2 * m) + m - rotations
        windows = torch.cat((folds, folds), dim=1).view(-1).unfold(0, m, 1)
        return windows.index_select(0, starts).sum(0)
