"""RPG's balanced random map (Savarese and Maire 2019; Plummer et al. 2022; here computed).

Each fold of m weights reads the m slots in an order of its own: load-optimal like RANDOMFOLD,
without its contiguity. The orders are computed permutations (``feistel.py``).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from rps_bench.methods.sharing.base import SharingMethod
from rps_bench.methods.sharing.feistel import count_bits, permute
from rps_bench.methods.sharing.kernels.layout import Kernel
from rps_bench.methods.sharing.sharing_map import SharingMap


class BalancedMap(SharingMap):
    """slot = permutation of fold k applied to offset o."""

    kind = "balanced"
    # One warp a program: all of its lanes wait for the longest walk, and of fewer lanes that is
    # shorter.
    kernel = Kernel("balanced_slots", "balanced_offsets", num_lanes=128)

    def slots_between(self, start: int, stop: int) -> torch.Tensor:
        """A fresh permutation of the m slots per fold."""
        m = self.num_stored
        folds = torch.arange(start // m, -(-stop // m), device=self.anchor.device)
        # Counted from the first weight of the first fold, so that fold numbers are rows of folds.
        places = torch.arange(start % m, start % m + stop - start, device=self.anchor.device)
        return permute(places % m, places // m, folds, m, self.key("slot"))

    def kernel_constant(self) -> int:
        """Bits of the Feistel network."""
        return count_bits(self.num_stored)


@dataclass(frozen=True)
class RPG(SharingMethod):
    """RPG: a balanced random map, no gradient scaling."""

    name: ClassVar[str] = "rpg"
    map_type: ClassVar[type[SharingMap]] = BalancedMap
