"""RANDOMFOLD: w is folded into rows of m weights, each row a rotation of the repository.

Desai and Shrivastava 2024 (arXiv 2310.11611), section 4: with fold k = floor(i / m) and offset
o = i mod m, slot = (u(k) + o) mod m. Every slot serves floor(n/m) or ceil(n/m) weights.
"""

import torch

from rps_bench.methods.sharing.hashing import hash_below
from rps_bench.methods.sharing.sharing_map import SharingMap


class RandomFoldMap(SharingMap):
    """Whole contiguous runs: recovering is one row copy per fold, no index per weight."""

    kind = "randomfold"

    def rotations(self) -> torch.Tensor:
        """(K,) u(k) of each of the K = ceil(n / m) folds."""
        folds = torch.arange(-(-self.num_weights // self.num_stored), device=self.anchor.device)
        return hash_below(self.key("slot"), folds, self.num_stored)

    def slots(self) -> torch.Tensor:
        """(n,) (u(k) + o) mod m."""
        offsets = torch.arange(self.num_stored, device=self.anchor.device)
        slots = (self.rotations()[:, None] + offsets).remainder_(self.num_stored)
        return slots.view(-1)[: self.num_weights]

    def expand(self, stored: torch.Tensor) -> torch.Tensor:
        """A theta as row copies: fold k is the window of m at u(k) of theta laid out twice."""
        windows = torch.cat((stored, stored)).unfold(0, self.num_stored, 1)  # (m + 1, m)
        folds = windows.index_select(0, self.rotations())  # (K, m)
        weights = folds.view(-1)[: self.num_weights]
        return self.scale_layers_(weights.mul_(self.signs()))

    def reduce(self, grad_weights: torch.Tensor) -> torch.Tensor:
        """A' g as row copies back: each fold laid out twice, read from m - u(k), then summed."""
        m, rotations = self.num_stored, self.rotations()
        signed = self.scale_layers_(grad_weights * self.signs())
        padding = rotations.numel() * m - self.num_weights
        folds = torch.nn.functional.pad(signed, (0, padding)).view(-1, m)  # (K, m)
        starts = torch.arange(rotations.numel(), device=rotations.device) * (2 * m) + m - rotations
        windows = torch.cat((folds, folds), dim=1).view(-1).unfold(0, m, 1)
        return windows.index_select(0, starts).sum(0)
