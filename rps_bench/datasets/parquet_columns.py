"""The columns of a parquet shard that hold images and labels, in any known copy of a dataset.

Images are ``struct<bytes, path>`` as on the public hub, or bytes alone. If a row has no bytes, its
path names the image file, which must lie below the shard's own folder.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rps_bench.core.errors import UserError
from rps_bench.datasets.images import LARGEST_IMAGE_BYTES
from rps_bench.datasets.info import DatasetInfo

# Copies differ in the names of their columns, and in the order of rows.
_IMAGE_COLUMNS = ("img", "image")
_LABEL_COLUMNS = ("label", "fine_label")
_ROWS_PER_READ = 1000
_MAGIC, _POINTER = b"PAR1", b"version https://git-lfs"


@dataclass(frozen=True)
class Columns:
    """The columns to read from a shard.

    Attributes:
        image: Name of the column of images.
        bytes: Name of its part with encoded images; None if only paths are stored.
        path: Name of its part with paths; None if there is none.
        label: Name of the column of labels.
        names: Class names in the order of the labels; None if the shard does not state them.
        lacks_bytes: Whether some rows have no bytes, or may have none.
    """

    image: str
    bytes: str | None
    path: str | None
    label: str
    names: tuple[str, ...] | None
    lacks_bytes: bool


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of a shard: the first row's number, encoded images or paths, labels."""

    first: int
    encoded: list[bytes | None]
    paths: list[str | None]
    labels: NDArray[np.int64]


def open_shard(shard: Path) -> pq.ParquetFile:
    """Open a shard.

    Raises:
        UserError: The shard cannot be read.
    """
    try:
        return pq.ParquetFile(shard)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(shard, error) from error


def find_columns(file: pq.ParquetFile, shard: Path, info: DatasetInfo) -> Columns:
    """Find the columns of a shard in its schema and footer.

    Raises:
        UserError: Columns are missing or have other types.
    """
    schema = file.schema_arrow
    image = _choose_column(schema, _IMAGE_COLUMNS, shard)
    label = _choose_column(schema, _LABEL_COLUMNS, shard)
    kind = schema.field(image).type
    encoded, path = _find_parts(kind, image, shard)
    names = _read_names(schema, label)
    if names is not None and len(names) != info.num_classes:
        raise UserError(
            f"{shard}: expected {info.num_classes} classes for {info.name}, column {label} has "
            f"{len(names)}"
        )
    _check_size(file.metadata, shard)
    lacks_bytes = encoded is None or _counts_nulls(file.metadata, encoded)
    return Columns(image, encoded, path, label, names, lacks_bytes)


def read_rows(shard: Path, columns: Columns, info: DatasetInfo) -> Iterator[Rows]:
    """Yield the rows in batches that fit in memory.

    Raises:
        UserError: Pages cannot be read, or labels have another type.
    """
    wanted = [columns.bytes, columns.path if columns.lacks_bytes else None, columns.label]
    with open_shard(shard) as file:
        first = 0
        pieces = file.iter_batches(_ROWS_PER_READ, columns=[name for name in wanted if name])
        while True:
            try:
                batch = next(pieces, None)
            except (OSError, pa.ArrowException) as error:
                raise _unreadable(shard, error) from error
            if batch is None:
                return
            labels = _to_labels(batch.column(columns.label), f"{shard}, row", first, columns, info)
            encoded = _part(batch, columns.image, columns.bytes)
            paths = _part(batch, columns.image, columns.path if columns.lacks_bytes else None)
            yield Rows(first, encoded, paths, labels)
            first += len(labels)


def read_paths(shard: Path, columns: Columns) -> list[str | None]:
    """The path of each row without bytes; None for rows with bytes or without a path."""
    assert columns.path is not None
    wanted = [name for name in (columns.bytes, columns.path) if name]
    paths: list[str | None] = []
    with open_shard(shard) as file:
        try:
            # Bytes win over paths: hub copies often keep a meaningless path besides the bytes.
            for batch in file.iter_batches(_ROWS_PER_READ, columns=wanted):
                encoded = _part(batch, columns.image, columns.bytes)
                listed = _part(batch, columns.image, columns.path)
                paths += [None if d else p for d, p in zip(encoded, listed, strict=True)]
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(shard, error) from error
    return paths


def locate_image(shard: Path, row: int, path: str) -> Path:
    """The image file that a row names.

    Raises:
        UserError: The file does not exist, or is not below the shard's folder.
    """
    where = f"{shard}, row {row}: holds no image, only the path {path[:80]!r}"
    # Normalised without following links: a path such as `../x` must not lead out of the folder.
    place = Path(os.path.normpath(shard.parent / path))
    if not place.is_relative_to(shard.parent):
        raise UserError(f"{where}; expected one that lies below {shard.parent}")
    if not place.is_file():
        raise UserError(
            f"{where}, and there is no such file below {shard.parent}; put the images there, or "
            "get a copy that holds them"
        )
    return place


def _choose_column(schema: pa.Schema, allowed: tuple[str, ...], shard: Path) -> str:
    found: list[str] = [name for name in schema.names if name in allowed]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(schema.names[:20])
    one = "one" if found else "a"
    raise UserError(f"{shard}: expected {one} column {' or '.join(allowed)}, found {listed}")


def _find_parts(kind: pa.DataType, image: str, shard: Path) -> tuple[str | None, str | None]:
    """The names of the parts with bytes and with paths, None for a part that is missing."""
    if _is_binary(kind):
        return image, None
    parts = {field.name: field.type for field in kind} if pa.types.is_struct(kind) else {}
    has_bytes = "bytes" in parts and _is_binary(parts["bytes"])
    has_path = "path" in parts and _is_text(parts["path"])
    # A part "bytes" of another type is refused, unless it is all null and paths are used.
    has_neither = not has_bytes and not has_path
    if has_neither or not (has_bytes or pa.types.is_null(parts.get("bytes", pa.null()))):
        raise UserError(
            f"{shard}: expected column {image} to hold struct<bytes: binary, path: string> or "
            f"binary, found {str(kind)[:80]}"
        )
    return f"{image}.bytes" if has_bytes else None, f"{image}.path" if has_path else None


def _is_binary(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    is_any = (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
        pa.types.is_fixed_size_binary,
    )
    return any(matches(kind) for matches in is_any)


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    is_any = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(matches(kind) for matches in is_any)


def _part(batch: pa.RecordBatch, image: str, part: str | None) -> list[Any]:
    """The values of a part of the image column; all None if the part is None."""
    if part is None:
        return [None] * batch.num_rows
    column = batch.column(image)
    inside = part.removeprefix(f"{image}.")
    values: list[Any] = (column if part == image else column.field(inside)).to_pylist()
    return values


def _counts_nulls(metadata: pq.FileMetaData, part: str) -> bool:
    """Whether the footer leaves it possible that rows lack a value in a part of a column."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    chunks = [group.column(index) for group in groups for index in range(group.num_columns)]
    return any(
        chunk.path_in_schema == part
        and (
            chunk.statistics is None
            or not chunk.statistics.has_null_count
            or chunk.statistics.null_count > 0
        )
        for chunk in chunks
    )


def _check_size(metadata: pq.FileMetaData, shard: Path) -> None:
    """Refuse a shard that would decompress to too many bytes, before memory is allocated."""
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        if group.total_byte_size > (group.num_rows + 1) * LARGEST_IMAGE_BYTES:
            raise UserError(
                f"{shard}: expected at most {LARGEST_IMAGE_BYTES} bytes in an image, "
                f"found {group.num_rows} rows of {group.total_byte_size} bytes"
            )


def _read_names(schema: pa.Schema, label: str) -> tuple[str, ...] | None:
    """The class names as stored by the hub's library; None if there are none."""
    try:
        noted = json.loads((schema.metadata or {})[b"huggingface"])
        names = noted["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return tuple(map(str, names)) if isinstance(names, list) else None


def _to_labels(
    column: Any, where: str, first: int, columns: Columns, info: DatasetInfo
) -> NDArray[np.int64]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    shard = where.removesuffix(", row")
    if not pa.types.is_integer(column.type):
        raise UserError(
            f"{shard}: expected an integer in every row of column {columns.label}, "
            f"found {str(column.type)[:80]}"
        )
    if column.null_count:
        missing = first + column.is_null().to_pylist().index(True)
        raise UserError(
            f"{where} {missing}: expected an integer in every row of column {columns.label}, "
            "found none"
        )
    found = pc.min_max(column).as_py()
    low, high = found["min"], found["max"]
    if len(column) and (low < 0 or high >= info.num_classes):
        raise UserError(
            f"{shard}: expected labels 0 to {info.num_classes - 1} for {info.name}, "
            f"found {low} to {high}"
        )
    labels: NDArray[np.int64] = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return labels


def _unreadable(shard: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno is not None:
        return UserError(f"{shard}: cannot be read ({os.strerror(error.errno)})")
    start, end = _read_ends(shard)
    if start.startswith(_POINTER):
        return UserError(f"{shard}: a Git LFS pointer, not the file itself; git lfs pull gets it")
    if start[:4] == _MAGIC == end and shard.stat().st_size > 2 * len(_MAGIC):
        return UserError(f"{shard}: no parquet file that can be read here ({reason})")
    return UserError(f"{shard}: truncated or corrupt parquet file ({reason}); get it again")


def _read_ends(shard: Path) -> tuple[bytes, bytes]:
    """The first bytes and the last four of a file; both empty if it cannot be read."""
    try:
        with shard.open("rb") as file:
            start = file.read(len(_POINTER))
            file.seek(-min(4, shard.stat().st_size), os.SEEK_END)
            return start, file.read()
    except OSError:
        return b"", b""
