"""HashedNet (Chen et al. 2015): every weight reads the slot its own hash names."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from rps_bench.methods.sharing.base import SharingMethod
from rps_bench.methods.sharing.hashing import hash_below
from rps_bench.methods.sharing.kernels.layout import Kernel
from rps_bench.methods.sharing.sharing_map import SharingMap


class HashedMap(SharingMap):
    """slot = hash(i) mod m: loads are those of balls thrown into bins, some slots stay empty."""

    kind = "hashed"
    kernel = Kernel("hashed_slots")

    def slots_between(self, start: int, stop: int) -> torch.Tensor:
        """hash(i) mod m."""
        positions = self.positions_between(start, stop)
        return hash_below(self.key("slot"), positions, self.num_stored)


@dataclass(frozen=True)
class HashedNet(SharingMethod):
    """HashedNet: one hash per weight, no gradient scaling."""

    name: ClassVar[str] = "hashednet"
    map_type: ClassVar[type[SharingMap]] = HashedMap
