"""The parameter-sharing methods: one repository theta, read through a hash map.

lambda of a layer = (theoretical std of its dense init) / init_std, so that the recovered weights
of a Normal(0, init_std) repository have the dense std in every layer.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from rps_bench import checks
from rps_bench.errors import UserError
from rps_bench.methods.base import Method, Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import (
    Layout,
    flatten_weights,
    init_stds_of,
    layout_of,
    num_weights,
)
from rps_bench.methods.scaling import SCALINGS
from rps_bench.methods.sharing.balanced import BalancedMap
from rps_bench.methods.sharing.hashed import HashedMap
from rps_bench.methods.sharing.randomfold import RandomFoldMap
from rps_bench.methods.sharing.repository import REPOSITORY_INITS
from rps_bench.methods.sharing.sharing_map import SharingMap
from rps_bench.methods.sharing.tiles import TiledMap


@dataclass(frozen=True)
class SharingMethod(Method):
    """What all sharing methods have in common.

    Attributes:
        init_std: s0, the std of the repository (the half-width for ``uniform``).
        repository_init: normal, uniform or project.
        scaling: Name of the gradient scaling.
    """

    init_std: float = 0.04
    repository_init: str = "normal"
    scaling: str = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive_number("method.init_std", self.init_std)
        checks.choice("method.repository_init", self.repository_init, REPOSITORY_INITS)
        checks.choice("method.scaling", self.scaling, SCALINGS)

    @abstractmethod
    def build_map(self, layout: Layout, scales: tuple[float, ...]) -> SharingMap:
        """The method's map for a layer table with scales lambda."""

    def _compress(self, model: nn.Module, probe: Probe) -> CompressedModel:
        """The network read from a fresh repository. The probe is not looked at."""
        scales = tuple(std / self.init_std for std in init_stds_of(model))
        weights = flatten_weights(model)
        weight_map = self.build_map(layout_of(model), scales).to(weights.device, weights.dtype)
        draw = REPOSITORY_INITS[self.repository_init]
        stored = draw(weight_map, weights, self.init_std, self.seed)
        return CompressedModel(model, weight_map, stored, self.scaling)


@dataclass(frozen=True)
class StableRPS(SharingMethod):
    """STABLE-RPS: RANDOMFOLD with the theorem's gradient scaling."""

    name: ClassVar[str] = "stable_rps"
    scaling: str = "gram"

    def build_map(self, layout: Layout, scales: tuple[float, ...]) -> SharingMap:
        """A RANDOMFOLD."""
        return RandomFoldMap(layout, scales, self.num_stored(layout), self.seed)


@dataclass(frozen=True)
class Roast(SharingMethod):
    """ROAST: tiles at hashed starts, no gradient scaling.

    Attributes:
        tile: b, the side of a tile.
    """

    name: ClassVar[str] = "roast"
    tile: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.whole_number("method.tile", self.tile, 1)

    def num_stored(self, layout: Layout) -> int:
        """m, at least one tile."""
        m = super().num_stored(layout)
        if m < self.tile**2:
            largest = math.floor(100 * num_weights(layout) / self.tile**2) / 100  # never above
            raise UserError(
                f"roast stores at least one tile of {self.tile} x {self.tile} = {self.tile**2} "
                f"values, compression {self.compression:g} leaves {m}: use a compression of at "
                f"most {largest:.2f}, or shrink the tile with method.tile"
            )
        return m

    def build_map(self, layout: Layout, scales: tuple[float, ...]) -> SharingMap:
        """Tiles at hashed starts."""
        return TiledMap(layout, scales, self.num_stored(layout), self.seed, self.tile)


@dataclass(frozen=True)
class HashedNet(SharingMethod):
    """HashedNet: one hash per weight, no gradient scaling."""

    name: ClassVar[str] = "hashednet"

    def build_map(self, layout: Layout, scales: tuple[float, ...]) -> SharingMap:
        """One hash per weight."""
        return HashedMap(layout, scales, self.num_stored(layout), self.seed)


@dataclass(frozen=True)
class RPG(SharingMethod):
    """RPG: a balanced random map, no gradient scaling."""

    name: ClassVar[str] = "rpg"

    def build_map(self, layout: Layout, scales: tuple[float, ...]) -> SharingMap:
        """A permutation per fold."""
        return BalancedMap(layout, scales, self.num_stored(layout), self.seed)
