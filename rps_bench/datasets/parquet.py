"""Parquet shards as on the public hub: one row per image, ``{bytes, path}`` and a label."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rps_bench.core.errors import UserError
from rps_bench.datasets.images import decode_image, read_encoded
from rps_bench.datasets.info import DatasetInfo
from rps_bench.datasets.parquet_columns import (
    Columns,
    find_columns,
    locate_image,
    open_shard,
    read_paths,
    read_rows,
)
from rps_bench.datasets.shards import check_files, choose_set


@dataclass(frozen=True)
class Shard:
    """One file: columns, number of rows, and the image files of rows that have no bytes."""

    path: Path
    columns: Columns
    num_rows: int
    images: Mapping[int, Path]  # row -> file


@dataclass(frozen=True)
class ParquetSource:
    """Shards of both splits in one folder."""

    info: DatasetInfo
    folder: Path
    shards: dict[str, tuple[Shard, ...]]  # by split, sorted by name

    @property
    def files(self) -> tuple[Path, ...]:
        """All shards, and the image files that their rows name."""
        shards = self.shards["train"] + self.shards["test"]
        images = dict.fromkeys(path for shard in shards for path in shard.images.values())
        return (*(shard.path for shard in shards), *images)

    def count(self, split: str) -> int:
        """Number of rows in a split, from the footers."""
        return sum(shard.num_rows for shard in self.shards[split])

    def fill(self, split: str, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        """Decode a split into (count, 3, H, W) and (count,)."""
        start = 0
        for shard in self.shards[split]:
            end = start + shard.num_rows
            self._fill_from(shard, images[start:end], labels[start:end])
            start = end

    def _fill_from(
        self, shard: Shard, images: NDArray[np.uint8], labels: NDArray[np.int64]
    ) -> None:
        # The arrays were sized by the footer; the pages of a corrupt file may hold more rows or
        # fewer.
        row = 0
        for rows in read_rows(shard.path, shard.columns, self.info):
            row = rows.first + len(rows.labels)
            if row > shard.num_rows:
                break
            labels[rows.first : row] = rows.labels
            for number, data in enumerate(rows.encoded, rows.first):
                where = f"{shard.path}, row {number}"
                encoded = data or _read_image(shard, number, where)
                images[number] = decode_image(encoded, self.info.image_size, where)
        if row != shard.num_rows:
            raise UserError(
                f"{shard.path}: corrupt parquet file (its footer says {shard.num_rows} rows, it "
                f"holds {'more' if row > shard.num_rows else row}); get it again"
            )


def find_parquet(info: DatasetInfo, root: Path) -> ParquetSource | None:
    """The shards of a dataset under ``root``, or None if there are none.

    Raises:
        UserError: One split is there without the other, or twice, or a shard has other columns.
    """
    if info.hub is None:
        return None
    folder = root / info.hub.local_folder
    if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
        raise UserError(f"{folder}: the folder cannot be read (Permission denied)")
    found = {
        split: choose_set(folder.glob(pattern)) for split, pattern in info.hub.patterns.items()
    }
    if not any(found.values()):
        return None
    for split, pattern in info.hub.patterns.items():
        if not found[split]:
            raise UserError(
                f"{folder}: no {split} split, expected {pattern}; get it from "
                f"{info.hub.folder}/ of dataset {info.hub.repository} on the public hub"
            )
    check_files([path for paths in found.values() for path in paths])
    shards = {split: tuple(_look_at(path, info) for path in found[split]) for split in found}
    _check_alike([shard for split in shards.values() for shard in split])
    return ParquetSource(info, folder, shards)


def _look_at(path: Path, info: DatasetInfo) -> Shard:
    with open_shard(path) as file:
        columns, num_rows = find_columns(file, path, info), file.metadata.num_rows
    images = {}
    if columns.lacks_bytes and columns.path is not None:
        listed = enumerate(read_paths(path, columns))
        images = {row: locate_image(path, row, name) for row, name in listed if name}
    return Shard(path, columns, num_rows, images)


def _check_alike(shards: Sequence[Shard]) -> None:
    """Refuse shards that disagree on the meaning of labels."""
    first = shards[0]
    for shard in shards[1:]:
        here, there = shard.columns, first.columns
        if here.label != there.label:
            raise UserError(
                f"{shard.path}: expected labels in column {there.label} as in {first.path.name}, "
                f"found column {here.label}"
            )
        # Compare with the first shard that states class names; shards need not state any.
        if here.names is not None and there.names is None:
            first = shard
        elif here.names is not None and there.names is not None and here.names != there.names:
            pairs = zip(here.names, there.names, strict=True)
            label, pair = next((n, pair) for n, pair in enumerate(pairs) if pair[0] != pair[1])
            raise UserError(
                f"{shard.path}: expected the classes of {first.path.name}, found another order: "
                f"label {label} is {pair[0][:80]!r}, there {pair[1][:80]!r}"
            )


def _read_image(shard: Shard, row: int, where: str) -> bytes:
    """The encoded image of a row that has a path instead of bytes."""
    if row not in shard.images:
        raise UserError(f"{where}: expected image bytes, found none")
    try:
        return read_encoded(shard.images[row])
    except OSError as error:
        raise UserError(f"{shard.images[row]}: cannot be read ({error.strerror})") from error
