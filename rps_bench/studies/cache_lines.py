"""Cache lines touched by recovering weights, by sharing map: counted, and timed.

Desai, Zhou and Shrivastava 2022 (ROAST) and Desai and Shrivastava 2024, section 4, choose maps that
put neighbouring weights next to each other in the repository, so that one cache line of 64 bytes
serves 16 of them. HashedNet's and RPG's maps read a line per weight.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pandas as pd
import torch
from matplotlib.figure import Figure

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.methods import build_method
from rps_bench.methods.layout import Layout, layout_of, num_weights
from rps_bench.methods.sharing.base import SharingMethod
from rps_bench.models import ARCHITECTURES, build_model
from rps_bench.reports.styles import TIMES
from rps_bench.studies.base import TheoryStudy
from rps_bench.studies.cache_lines_figure import LINES, NETWORKS, SIZES, draw_figure
from rps_bench.studies.gathers import (
    count_lines,
    count_lines_at_best,
    last_cache_bytes,
    number_runs,
    number_tiles,
    one_thread,
    time_gathers,
)
from rps_bench.studies.load import SHARING

DENSE = "dense"  # the weights themselves, read in flat order
VALUE_BYTES = 4


@dataclass(frozen=True)
class CacheLines(TheoryStudy):
    """Cache lines per block of weights, and nanoseconds per weight."""

    name: ClassVar[str] = "cache_lines"
    question: ClassVar[str] = "How many cache lines does recovering weights touch, and the time?"

    archs: tuple[str, ...]
    methods: tuple[str, ...]
    compressions: tuple[float, ...]
    tile_sides: tuple[int, ...]
    run_lengths: tuple[int, ...]
    log2_sizes: tuple[int, ...]
    log2_reads: int
    repeats: int
    num_classes: int
    seed: int

    def __post_init__(self) -> None:
        checks.each("archs", self.archs, lambda key, name: checks.choice(key, name, ARCHITECTURES))
        checks.each("methods", self.methods, lambda key, name: checks.choice(key, name, SHARING))
        checks.each("compressions", self.compressions, lambda _, c: checks.compression_ratio(c))
        for key in ("tile_sides", "run_lengths"):
            checks.each(key, getattr(self, key), lambda key, x: checks.whole_number(key, x, 1))
        checks.each(
            "log2_sizes", self.log2_sizes, lambda key, x: checks.whole_number(key, x, 8, 30)
        )
        checks.whole_number("log2_reads", self.log2_reads, 8, 30)
        checks.whole_number("repeats", self.repeats, 1)
        checks.whole_number("num_classes", self.num_classes, 2)
        checks.whole_number("seed", self.seed, 0)

    def measure(self, folder: Path) -> pd.DataFrame:
        """Rows of three kinds, distinguished by `part`; `dense` is the weights in flat order.

        lines: For each architecture, method, compression and kind of `block`, over all blocks of
            the network: `num_blocks`, `mean_lines`, `max_lines`, and `relative_lines`, the ratio of
            all lines to those that blocks would touch if their weights were contiguous from the
            start of a line.
        networks: For each architecture, method and compression the time of a gather of all weights:
            `ns_per_weight` (median), `ns_low` and `ns_high` (extremes) of `repeats` timings.
        sizes: The same for 2^`log2_reads` weights of a square layer and repositories of
            2^`log2_sizes` values (`theta_bytes`); compression is 1 if these are more than the
            weights read. Weights are read row by row, which is not the order of roast's tiles.
        """
        with one_thread():
            parts = [*self._measure_networks(), *self._time_sizes()]
        return pd.DataFrame(parts).assign(cache_bytes=last_cache_bytes())

    def _measure_networks(self) -> Iterator[dict[str, Any]]:
        for arch in self.archs:
            with torch.device("meta"):
                layout = layout_of(build_model(arch, self.num_classes, None))
            maps = list(self._list_maps(layout))
            timings = self._time([m.slots for m in maps], [m.num_stored for m in maps])
            for own, timing in zip(maps, timings, strict=True):
                names = {
                    "arch": arch,
                    "method": own.method,
                    "compression": own.compression,
                    "theta_bytes": VALUE_BYTES * own.num_stored,
                }
                for block, numbers in self._number_blocks(layout).items():
                    lines = _describe_lines(own.slots, numbers)
                    yield names | {"part": LINES, "block": block} | lines
                yield names | {"part": NETWORKS} | timing

    def _number_blocks(self, layout: Layout) -> dict[str, torch.Tensor]:
        """The block number (n,) of each weight, for each kind of block."""
        tiles = {
            f"tile {side} {TIMES} {side}": number_tiles(layout, side) for side in self.tile_sides
        }
        runs = {f"run of {k}": number_runs(num_weights(layout), k) for k in self.run_lengths}
        return tiles | runs

    def _list_maps(self, layout: Layout) -> Iterator["NetworkMap"]:
        """The dense weights, then every possible method and compression."""
        n = num_weights(layout)
        yield NetworkMap(DENSE, 1.0, torch.arange(n), n)
        for method in self.methods:
            for compression in self.compressions:
                try:
                    slots, m = find_slots(method, compression, self.seed, layout)
                except UserError:  # a tile that is larger than the repository
                    continue
                yield NetworkMap(method, compression, slots, m)

    def _time_sizes(self) -> Iterator[dict[str, Any]]:
        num_reads = 2**self.log2_reads
        for log2_size in self.log2_sizes:
            # At least as many weights as stored values; only the first num_reads of them are read.
            m, n = 2**log2_size, 2 ** max(log2_size, self.log2_reads)
            side = 2 ** (n.bit_length() // 2)
            layout = (("layer", (side, n // side)),)
            slots = [torch.arange(num_reads) % m] + [
                find_slots(method, n / m, self.seed, layout)[0][:num_reads].clone()
                for method in self.methods
            ]
            timings = self._time(slots, [m] * len(slots))
            for method, timing in zip((DENSE, *self.methods), timings, strict=True):
                yield {"part": SIZES, "method": method, "theta_bytes": VALUE_BYTES * m} | timing

    def _time(
        self, slots: Sequence[torch.Tensor], nums_stored: Sequence[int]
    ) -> list[dict[str, float]]:
        times = time_gathers(slots, nums_stored, 2**self.log2_reads, self.repeats)
        return [
            {
                "ns_per_weight": own.quantile(0.5).item(),
                "ns_low": own.min().item(),
                "ns_high": own.max().item(),
            }
            for own in times
        ]

    def draw(self, table: pd.DataFrame, small_print: Sequence[str]) -> Figure:
        """The figure: relative lines by architecture (row) and block (column); below, the times."""
        return draw_figure(table, small_print)


class NetworkMap(NamedTuple):
    """The order in which a network's weights are read from its repository."""

    method: str
    compression: float
    slots: torch.Tensor  # (n,)
    num_stored: int


def find_slots(
    name: str, compression: float, seed: int, layout: Layout
) -> tuple[torch.Tensor, int]:
    """The slots (n,) of a sharing method for a layer table, and m.

    Raises:
        UserError: A tile is larger than the repository.
    """
    method = build_method(name, compression, seed)
    assert isinstance(method, SharingMethod)
    weight_map = method.build_map(layout, (1.0,) * len(layout))
    return weight_map.slots(), weight_map.num_stored


def _describe_lines(slots: torch.Tensor, numbers: torch.Tensor) -> dict[str, float]:
    lines, best = count_lines(slots, numbers), count_lines_at_best(numbers)
    return {
        "num_blocks": len(lines),
        "mean_lines": lines.double().mean().item(),
        "max_lines": lines.max().item(),
        "relative_lines": lines.sum().item() / best.sum().item(),
    }
