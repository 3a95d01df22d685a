"""ROAST's map (Desai, Zhou and Shrivastava 2022): tiles of a layer's matrix read contiguous runs.

The layer as a matrix (out x in*kh*kw) is cut in b x b tiles; tile t starts at a hash in
[0, m - b^2] and its entries, row by row, run on contiguously.
"""

from collections.abc import Sequence

import torch

from rps_bench.methods.layout import Layout, layer_ranges
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

    def slots_between(self, start: int, stop: int) -> torch.Tensor:
        """Start of the weight's tile + its place in the tile."""
        pieces, first_tile = [], 0
        for (_, shape), (begin, end) in zip(self.layout, layer_ranges(self.layout), strict=True):
            columns = (end - begin) // shape[0]
            low, high = max(start - begin, 0), min(stop, end) - begin  # of this layer
            if low < high:
                first_row = low // columns
                slots = self._row_slots(first_row, -(-high // columns), columns, first_tile)
                pieces.append(slots[low - first_row * columns :][: high - low])
            first_tile += -(-shape[0] // self.tile) * -(-columns // self.tile)
        return torch.cat(pieces)

    def _row_slots(self, first: int, last: int, columns: int, first_tile: int) -> torch.Tensor:
        """Slots of rows first to last - 1 of a layer whose tiles are numbered from ``first_tile``.

        Returns:
            ((last - first) * columns,) int64.
        """
        b, device = self.tile, self.anchor.device
        row, column = torch.arange(first, last, device=device), torch.arange(columns, device=device)
        tiles_across = -(-columns // b)
        tile = first_tile + (row // b)[:, None] * tiles_across + column // b  # (rows, columns)
        starts = hash_below(self.key("slot"), tile, self.num_stored - b * b + 1)
        # The last tile of a row may be narrower than b: its entries still run on without a gap.
        tile_width = (columns - column // b * b).clamp_(max=b)
        place = (row % b)[:, None] * tile_width + column % b
        return starts.add_(place).view(-1)
