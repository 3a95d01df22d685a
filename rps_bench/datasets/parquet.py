"""Parquet shards as the public hub keeps them: one row per image, ``{bytes, path}`` and a label."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rps_bench.datasets.images import LARGEST_IMAGE_BYTES, check_labels, decode_image
from rps_bench.datasets.info import DatasetInfo
from rps_bench.errors import UserError

# Copies name their columns differently; rows may be in any order.
_IMAGE_COLUMNS = ("img", "image")
_LABEL_COLUMNS = ("label", "fine_label")
_ROWS_PER_READ = 1000


@dataclass(frozen=True)
class ParquetSource:
    """Shards of both splits in one folder."""

    info: DatasetInfo
    folder: Path
    shards: dict[str, tuple[Path, ...]]  # split -> files in order of name

    @property
    def files(self) -> tuple[Path, ...]:
        """All shards."""
        return self.shards["train"] + self.shards["test"]

    def count(self, split: str) -> int:
        """Rows of a split, from the footers."""
        total = 0
        for shard in self.shards[split]:
            with _open(shard) as file:
                total += file.metadata.num_rows
        return total

    def fill(self, split: str, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        """Decode a split into (count, 3, H, W) and (count,)."""
        row = 0
        for shard in self.shards[split]:
            for first, encoded, found_labels in _read_rows(shard):
                check_labels(found_labels, self.info, str(shard))
                labels[row : row + len(encoded)] = found_labels
                for offset, data in enumerate(encoded):
                    where = f"{shard}, row {first + offset}"
                    images[row + offset] = decode_image(data, self.info.image_size, where)
                row += len(encoded)


def find_parquet(info: DatasetInfo, root: Path) -> ParquetSource | None:
    """The shards of a dataset under ``root``, or None where there is not a single one.

    Raises:
        UserError: One split is there and the other is missing.
    """
    if info.hub is None:
        return None
    folder = root / info.hub.local_folder
    shards = {
        split: tuple(sorted(folder.glob(pattern))) for split, pattern in info.hub.patterns.items()
    }
    if not any(shards.values()):
        return None
    for split, pattern in info.hub.patterns.items():
        if not shards[split]:
            raise UserError(
                f"{folder}: no {split} split, expected {pattern}; get it from "
                f"{info.hub.folder}/ of dataset {info.hub.repository} on the public hub"
            )
    return ParquetSource(info, folder, shards)


def _open(shard: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(shard)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(shard, error) from error


def _read_rows(shard: Path) -> Iterator[tuple[int, list[bytes], NDArray[np.int64]]]:
    """Yield (index of the first row, encoded images, labels) in pieces that fit memory."""
    with _open(shard) as file:
        image_column = _choose_column(file, _IMAGE_COLUMNS, shard)
        label_column = _choose_column(file, _LABEL_COLUMNS, shard)
        if not pa.types.is_struct(file.schema_arrow.field(image_column).type):
            raise UserError(f"{shard}: expected column {image_column} to hold {{bytes, path}}")
        _check_size(file.metadata, shard)
        columns = [f"{image_column}.bytes", label_column]
        first = 0
        try:
            for batch in file.iter_batches(batch_size=_ROWS_PER_READ, columns=columns):
                encoded = batch.column(image_column).field("bytes").to_pylist()
                labels = _to_labels(batch.column(label_column), shard, label_column)
                yield first, _check_bytes(encoded, shard, first), labels
                first += len(encoded)
        except (OSError, pa.ArrowException, KeyError) as error:
            raise _unreadable(shard, error) from error


def _check_size(metadata: pq.FileMetaData, shard: Path) -> None:
    """Refuse a shard that becomes too large when it is unpacked, before it takes the memory."""
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        if group.total_byte_size > group.num_rows * LARGEST_IMAGE_BYTES:
            raise UserError(
                f"{shard}: expected at most {LARGEST_IMAGE_BYTES} bytes in an image, "
                f"found {group.num_rows} rows of {group.total_byte_size} bytes"
            )


def _choose_column(file: pq.ParquetFile, allowed: tuple[str, ...], shard: Path) -> str:
    names = file.schema_arrow.names
    for name in allowed:
        if name in names:
            return name
    raise UserError(f"{shard}: expected a column {' or '.join(allowed)}, found {', '.join(names)}")


def _check_bytes(encoded: list[bytes | None], shard: Path, first: int) -> list[bytes]:
    whole = [data for data in encoded if data]
    if len(whole) < len(encoded):
        missing = next(row for row, data in enumerate(encoded) if not data)
        raise UserError(f"{shard}, row {first + missing}: expected image bytes, found none")
    return whole


def _to_labels(column: Any, shard: Path, name: str) -> NDArray[np.int64]:
    if not pa.types.is_integer(column.type) or column.null_count:
        raise UserError(f"{shard}: expected an integer in every row of column {name}")
    labels: NDArray[np.int64] = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return labels


def _unreadable(shard: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())
    return UserError(
        f"{shard}: truncated or corrupt parquet file ({reason}); delete it and get it again"
    )
