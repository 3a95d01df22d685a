"""ROAST's map (Desai, Zhou and Shrivastava 2022): tiles of a layer's matrix read contiguous runs.

The layer as a matrix (out x in*kh*kw) is cut in b x b tiles; tile t starts at a hash in
[0, m - b^2] and its entries, row by row, run on contiguously.
"""

from collections.abc import Sequence

import torch

from rps_bench.methods.layout import Layout
from rps_bench.methods.sharing.hashing import hash_below
from rps_bench.methods.sharing.sharing_map import SharingMap


class TiledMap(SharingMap):
    """Tiles are numbered through the network in flat order of layers, row by row in a layer."""

    kind = "tiled"

    def __init__(
        self, layout: Layout, scales: Sequence[float], num_stored: int, seed: int, tile: int
    ) -> None:
        super().__init__(layout, scales, num_stored, seed)
        self.tile = tile  # b
        assert num_stored >= tile**2

    def description(self) -> dict[str, object]:
        """The shared description and the tile's side."""
        return super().description() | {"tile": self.tile}

    def slots(self) -> torch.Tensor:
        """(n,) start of the weight's tile + its place in the tile."""
        pieces, first_tile = [], 0
        for _, shape in self.layout:
            rows, columns = shape[0], torch.Size(shape[1:]).numel()
            pieces.append(self._layer_slots(rows, columns, first_tile))
            first_tile += -(-rows // self.tile) * -(-columns // self.tile)
        return torch.cat(pieces)

    def _layer_slots(self, rows: int, columns: int, first_tile: int) -> torch.Tensor:
        """(rows * columns,) slots of one layer, whose tiles are numbered from ``first_tile``."""
        b, device = self.tile, self.anchor.device
        row, column = torch.arange(rows, device=device), torch.arange(columns, device=device)
        tiles_across = -(-columns // b)
        tile = first_tile + (row // b)[:, None] * tiles_across + column // b  # (rows, columns)
        starts = hash_below(self.key("slot"), tile, self.num_stored - b * b + 1)
        # The last tile of a row may be narrower than b: its entries still run on without a gap.
        tile_width = (columns - column // b * b).clamp_(max=b)
        place = (row % b)[:, None] * tile_width + column % b
        return starts.add_(place).view(-1)
