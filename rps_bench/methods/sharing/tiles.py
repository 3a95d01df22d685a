"""ROAST's map (Desai, Zhou and Shrivastava 2022): tiles of a layer's matrix read contiguous runs.

The layer as a matrix (out x in*kh*kw) is cut in b x b tiles; tile t starts at a hash in
[0, m - b^2] and its entries, row by row, run on contiguously.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar

import torch

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.methods.layout import Layout, num_weights
from rps_bench.methods.sharing.base import SharingMethod
from rps_bench.methods.sharing.hashing import hash_below
from rps_bench.methods.sharing.kernels.layout import Kernel
from rps_bench.methods.sharing.sharing_map import SharingMap


class TiledMap(SharingMap):
    """Tiles are numbered through the network in flat order of layers, row by row in a layer."""

    kind = "tiled"
    kernel = Kernel("tiled_slots")

    def __init__(
        self, layout: Layout, scales: Sequence[float], num_stored: int, seed: int, tile: int
    ) -> None:
        super().__init__(layout, scales, num_stored, seed)
        self.tile = tile  # b
        assert num_stored >= tile**2

    @classmethod
    def check_options(cls, layout: Layout, options: Mapping[str, Any]) -> None:
        """The tile's side, too, and that theta holds a tile."""
        super().check_options(layout, options)
        tile = checks.whole_number("its tile", options["tile"], 1)
        if tile**2 > options["num_stored"]:
            raise UserError(f"its tile of {tile} x {tile} is larger than its stored values")

    def kernel_constant(self) -> int:
        """The tile's side."""
        return self.tile

    def kernel_rows(self) -> tuple[tuple[int, ...], ...]:
        """Columns of the layers' matrices, and the numbers of their first tiles."""
        b = self.tile
        rows = [shape[0] for _, shape in self.layout]
        columns = [math.prod(shape[1:]) for _, shape in self.layout]
        tiles = [-(-r // b) * -(-c // b) for r, c in zip(rows, columns, strict=True)]
        return tuple(columns), tuple(accumulate(tiles, initial=0))[:-1]

    def slots_between(self, start: int, stop: int) -> torch.Tensor:
        """Start of the weight's tile + its place in the tile."""
        pieces, first_tile = [], 0
        for (_, shape), (begin, end) in zip(self.layout, self.ranges, strict=True):
            rows, columns = shape[0], (end - begin) // shape[0]
            low, high = max(start - begin, 0), min(stop, end) - begin  # of this layer
            if low < high:
                band = self.tile * columns  # weights in a row of tiles
                first, last = low // band, -(-high // band)
                slots = self._band_slots(first, last, columns, first_tile)
                pieces.append(slots.view(-1)[low - first * band :][: high - low])
            first_tile += -(-rows // self.tile) * -(-columns // self.tile)
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def _band_slots(self, first: int, last: int, columns: int, first_tile: int) -> torch.Tensor:
        """Slots of rows of tiles first to last - 1 of a layer, each b rows of the matrix.

        Args:
            first, last: Of the layer, from 0; the last row of tiles may go on beyond the matrix.
            columns: Of the matrix.
            first_tile: The number of the layer's first tile.

        Returns:
            (last - first, b, columns) int64.
        """
        b, device = self.tile, self.anchor.device
        tiles_across = -(-columns // b)
        tiles = torch.arange(
            first_tile + first * tiles_across, first_tile + last * tiles_across, device=device
        )
        starts = hash_below(self.key("slot"), tiles, self.num_stored - b * b + 1)
        column, row = torch.arange(columns, device=device), torch.arange(b, device=device)
        # The last tile of a row may be narrower than b: its entries still run on without a gap.
        width = (columns - column // b * b).clamp_(max=b)
        top = starts.view(-1, tiles_across).index_select(1, column // b) + column % b
        return top[:, None] + row[:, None] * width


@dataclass(frozen=True)
class Roast(SharingMethod):
    """ROAST: tiles at hashed starts, no gradient scaling.

    Attributes:
        tile: b, the side of a tile.
    """

    name: ClassVar[str] = "roast"
    map_type: ClassVar[type[SharingMap]] = TiledMap
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
        """Tiles of this side."""
        return TiledMap(layout, scales, self.num_stored(layout), self.seed, self.tile)
