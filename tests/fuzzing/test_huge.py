"""Files that would need more memory than there is are refused before they take it."""

import io
import json
import pickle
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from rps_bench.core.errors import UserError
from rps_bench.costs.memory import peak_memory_bytes, reset_peak_memory
from rps_bench.datasets import load_dataset
from rps_bench.datasets.images import decode_image
from rps_bench.datasets.unpickle import read_pickled_arrays
from rps_bench.methods import load_compressed
from rps_bench.records import read_records
from rps_bench.records.store import LARGEST_RECORD_BYTES
from rps_bench.training.state import read_state

MOST_BYTES = 200 << 20  # of memory, on top of what the process has
GIGABYTE = 1 << 30


@pytest.fixture(autouse=True)
def _little_memory() -> Iterator[None]:
    cpu = torch.device("cpu")
    reset_peak_memory(cpu)
    before = peak_memory_bytes(cpu)
    yield
    assert peak_memory_bytes(cpu) - before < MOST_BYTES


def sparse(path: Path, head: bytes, size: int) -> Path:
    """A file of this length that takes no disk: zeros after its head."""
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)
    return path


def with_header(length: int) -> bytes:
    """The start of a safetensors file that claims a header of this length."""
    return struct.pack("<Q", length) + b'{"__metadata__": {"format": "x"}}'


@pytest.mark.parametrize("length", [GIGABYTE, 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize("read", [load_compressed, read_state], ids=["model", "state"])
def test_a_long_header(read: Callable[[Path], object], length: int, tmp_path: Path) -> None:
    path = sparse(tmp_path / "x.safetensors", with_header(length), 2 * GIGABYTE)
    with pytest.raises(ValueError, match=r"\S"):
        read(path)


@pytest.mark.parametrize("read", [load_compressed, read_state], ids=["model", "state"])
def test_a_large_tensor(read: Callable[[Path], object], tmp_path: Path) -> None:
    tensor = {"dtype": "F32", "shape": [GIGABYTE], "data_offsets": [0, 4 * GIGABYTE]}
    text = json.dumps({"__metadata__": {"format": "x"}, "stored": tensor}).encode()
    head = struct.pack("<Q", len(text)) + text
    path = sparse(tmp_path / "x.safetensors", head, len(head) + 4 * GIGABYTE)
    with pytest.raises(ValueError, match="format"):
        read(path)


def test_a_record_of_a_hundred_megabytes(tmp_path: Path) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    sparse(folder / "large.json", b'{"run_id": "', 100 << 20)
    records, (problem,) = read_records(tmp_path)
    assert not records
    assert problem.reason.endswith(f"bytes, a record has at most {LARGEST_RECORD_BYTES}")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[" * 100_000, "not valid JSON"),
        ('{"a":' * 300 + "1" + "}" * 300, "schema_version|run_id"),
        ('{"a": ' + "9" * 5000 + "}", "not valid JSON"),
    ],
    ids=["endless", "deep", "digits"],
)
def test_a_record_that_no_reader_can_hold(content: str, reason: str, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    (folder / "odd.json").write_text(content)
    records, (problem,) = read_records(tmp_path)
    assert not records
    assert any(part in problem.reason for part in reason.split("|"))


def png(width: int, height: int) -> bytes:
    """A PNG that claims to be so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(10 << 20))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [10_000, 15_000, 2**31 - 1])
def test_a_picture_that_unpacks_to_gigabytes(side: int) -> None:
    with pytest.raises(UserError, match=r"shard, row 3: expected"):
        decode_image(png(side, side), 32, "shard, row 3")


def test_a_picture_of_another_kind_is_not_handed_on() -> None:
    """Pillow has a reader that starts another program for PostScript."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (32, 32)).save(buffer, "EPS")
    with pytest.raises(UserError, match="expected a whole image"):
        decode_image(buffer.getvalue(), 32, "here")


def test_a_shard_that_unpacks_to_gigabytes(tmp_path: Path) -> None:
    folder = tmp_path / "cifar10" / "plain_text"
    folder.mkdir(parents=True)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = pa.array([{"bytes": bytes(3 << 20), "path": None}], kind)
    for split in ("train", "test"):
        table = pa.table({"img": rows, "label": [int(split == "test")]})
        path = folder / f"{split}-0.parquet"
        pq.write_table(table, path, compression="zstd", use_dictionary=False)
        assert path.stat().st_size < 1 << 20
    with pytest.raises(UserError, match=r"train-0\.parquet: expected at most 1048576 bytes in an"):
        load_dataset("cifar10", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros(1, dtype=object), "asks for arrays of '|O'|asks for arrays of 'O8'"),
        (np.zeros(1, dtype=[("a", "u1")]), "asks for arrays of"),
        (np.zeros(1, dtype="U4"), "asks for arrays of 'U4'"),
    ],
    ids=["objects", "fields", "text"],
)
def test_a_pickle_of_other_arrays(content: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({b"data": content}, protocol=2))
    with pytest.raises(UserError, match=r"batch: truncated or corrupt pickle") as caught:
        read_pickled_arrays(path)
    assert any(part in str(caught.value) for part in message.split("|"))


def test_a_pickle_of_gigabytes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="more than 536870912 bytes"):
        read_pickled_arrays(sparse(tmp_path / "batch", b"\x80\x02", GIGABYTE))
