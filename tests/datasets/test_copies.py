"""Copies of a dataset as people make them: read right, or refused in one line that says why.

One table per kind: which files are one set, how columns hold images and labels, what images are.
"""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from rps_bench.core.errors import UserError
from rps_bench.datasets import load_dataset

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
CLASSES = [f"class {number}" for number in range(10)]


@pytest.fixture
def folder(samples: Any, tmp_path: Path) -> Path:
    """The folder of the shards; a good test shard lies there."""
    folder = tmp_path / "cifar10" / "plain_text"
    samples.write_shard(
        folder / "test-0.parquet", [samples.encode(samples.pixels(1, seed=9)[0])], [3]
    )
    return folder


@pytest.fixture
def encoded(samples: Any) -> list[bytes]:
    """Three images."""
    return [samples.encode(image) for image in samples.pixels(3)]


def write(
    path: Path, images: Any, labels: Any, names: list[str] | None = None, **options: Any
) -> None:
    """One shard of any columns; ``names`` as the hub's library notes them."""
    table = pa.table({"img": images, "label": labels})
    if names is not None:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})}
        )
    pq.write_table(table, path, **options)


def structs(encoded: list[bytes | None], paths: list[str | None] | None = None) -> Any:
    paths = paths or [None] * len(encoded)
    rows = [{"bytes": data, "path": path} for data, path in zip(encoded, paths, strict=True)]
    return pa.array(rows, STRUCT)


def line_of(folder: Path) -> str:
    """What loading says, in one line that advises nobody to delete anything."""
    with pytest.raises(UserError) as caught:
        load_dataset("cifar10", folder.parents[1])
    line = str(caught.value)
    assert "\n" not in line
    assert "delete" not in line
    return line


WHOLE_OF_5 = [f"train-0000{index}-of-00005.parquet" for index in range(5)]
HASHED_OF_2 = [
    "train-00000-of-00002-0aa2ee8e4b0b0a2e.parquet",
    "train-00001-of-00002-b1e94f2dd07d5ac1.parquet",
]
OTHERS_OF_2 = [
    "train-00000-of-00002-1111111111111111.parquet",
    "train-00001-of-00002-2222222222222222.parquet",
]


@pytest.mark.parametrize(
    ("there", "read"),
    [
        (WHOLE_OF_5, WHOLE_OF_5),
        (WHOLE_OF_5[1:3], WHOLE_OF_5[1:3]),
        (HASHED_OF_2, HASHED_OF_2),
        (HASHED_OF_2 + WHOLE_OF_5[:1], HASHED_OF_2),
        (HASHED_OF_2[:1] + WHOLE_OF_5, WHOLE_OF_5),
        (HASHED_OF_2[:1], HASHED_OF_2[:1]),
        (["train-0.parquet", "train-1.parquet"], ["train-0.parquet", "train-1.parquet"]),
        (["train-a.parquet", "train-b.parquet"], ["train-a.parquet", "train-b.parquet"]),
        (["train-0-abc.parquet", "train-1-def.parquet"],) * 2,
        ([*OTHERS_OF_2, "train-00000-of-00001-abc.parquet"][1:],
         ["train-00000-of-00001-abc.parquet"]),
    ],
)  # fmt: skip
def test_one_set_of_shards_is_read(
    there: list[str], read: list[str], folder: Path, samples: Any
) -> None:
    for number, name in enumerate(there):
        image = samples.encode(samples.pixels(1, seed=number)[0])
        write(folder / name, structs([image]), [number])
    dataset = load_dataset("cifar10", folder.parents[1])
    assert dataset.train.labels.tolist() == [there.index(name) for name in sorted(read)]


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (WHOLE_OF_5 + HASHED_OF_2, ["found 2", WHOLE_OF_5[0], HASHED_OF_2[0]]),
        (WHOLE_OF_5[:1] + HASHED_OF_2[:1], ["1 of 5 as", WHOLE_OF_5[0], HASHED_OF_2[0]]),
        (HASHED_OF_2 + OTHERS_OF_2, ["found 4", HASHED_OF_2[0], OTHERS_OF_2[0]]),
        (["train-0.parquet", *WHOLE_OF_5], ["1 as train-0.parquet", WHOLE_OF_5[0]]),
        ([*WHOLE_OF_5, "train-00000-of-00005 (1).parquet"], ["(1).parquet", WHOLE_OF_5[0]]),
        (["train-0.parquet", "train-00.parquet"], ["train-00.parquet", "the same shard as"]),
        (["train-00005-of-00005.parquet"], ["no such shard, the name says 0 to 4"]),
    ],
)
def test_sets_side_by_side_are_refused_where_two_could_be_meant(
    there: list[str], said: list[str], folder: Path, samples: Any
) -> None:
    for number, name in enumerate(there):
        image = samples.encode(samples.pixels(1, seed=number)[0])
        write(folder / name, structs([image]), [number % 10])
    line = line_of(folder)
    assert all(words in line for words in said), line


@pytest.mark.parametrize("twin", ["train-1.parquet", "test-0.parquet"])
def test_the_same_file_under_two_names_is_refused(
    twin: str, folder: Path, encoded: list[bytes]
) -> None:
    write(folder / "train-0.parquet", structs([encoded[0]]), [1])
    (folder / twin).write_bytes((folder / "train-0.parquet").read_bytes())
    assert f"{twin}: the same content as train-0.parquet" in line_of(folder)


IMAGE_COLUMNS: dict[str, Callable[[list[bytes]], Any]] = {
    "binary": lambda images: pa.array(images, pa.binary()),
    "large_binary": lambda images: pa.array(images, pa.large_binary()),
    "dictionary": lambda images: pa.array(images, pa.binary()).dictionary_encode(),
    "struct of large types": lambda images: pa.array(
        [{"bytes": data, "path": "x"} for data in images],
        pa.struct([("bytes", pa.large_binary()), ("path", pa.large_string())]),
    ),
    "struct of a dictionary": lambda images: pa.StructArray.from_arrays(
        [pa.array(images, pa.binary()).dictionary_encode(), pa.array(["x"] * 3)], ["bytes", "path"]
    ),
    "struct of bytes alone": lambda images: pa.StructArray.from_arrays(
        [pa.array(images, pa.binary())], ["bytes"]
    ),
    "struct with more": lambda images: pa.array(
        [{"path": None, "size": 1, "bytes": data} for data in images],
        pa.struct([("path", pa.string()), ("size", pa.int64()), ("bytes", pa.binary())]),
    ),
}
LABELS: dict[str, Any] = {
    **{kind: pa.array([7, 0, 9], kind) for kind in ("int8", "uint8", "int32", "uint64")},
    "dictionary": pa.array([7, 0, 9]).dictionary_encode(),
}


@pytest.mark.parametrize(
    ("column", "label"),
    [*((column, "int8") for column in IMAGE_COLUMNS), *(("binary", label) for label in LABELS)],
)
@pytest.mark.parametrize("statistics", [True, False])
def test_columns_of_other_types_are_read(
    column: str, label: str, statistics: bool, folder: Path, encoded: list[bytes], samples: Any
) -> None:
    images = IMAGE_COLUMNS[column](encoded)
    write(folder / "train-0.parquet", images, LABELS[label], write_statistics=statistics)
    dataset = load_dataset("cifar10", folder.parents[1])
    assert np.array_equal(dataset.train.images.numpy(), samples.pixels(3))
    assert dataset.train.labels.tolist() == [7, 0, 9]


def test_an_empty_shard_among_others_is_read(
    folder: Path, encoded: list[bytes], samples: Any
) -> None:
    write(folder / "train-0.parquet", structs([]), pa.array([], pa.int64()))
    write(folder / "train-1.parquet", structs([*encoded]), [7, 0, 9])
    assert load_dataset("cifar10", folder.parents[1]).train.labels.tolist() == [7, 0, 9]


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (pa.array(["a.png"]), [0], "struct<bytes: binary, path: string> or binary, found string"),
        (pa.array([[1, 2]]), [0], "or binary, found list<"),
        (pa.array([{"pixels": [1]}]), [0], "or binary, found struct<pixels: list<"),
        (pa.array([{"bytes": "text", "path": ""}]), [0], "or binary, found struct<bytes: string"),
        (pa.array([None], STRUCT), [0], "row 0: expected image bytes, found none"),
        (None, [0.5], "expected an integer in every row of column label, found double"),
        (None, [True], "expected an integer in every row of column label, found bool"),
        (None, ["cat"], "expected an integer in every row of column label, found string"),
        (None, pa.array(["cat"]).dictionary_encode(), "every row of column label, found string"),
        (None, [[3]], "expected an integer in every row of column label, found list<"),
        (None, pa.array([None], pa.int64()), "row 0: expected an integer in every row of column"),
        (None, pa.array([None]), "expected an integer in every row of column label, found null"),
        (None, pa.array([2**64 - 1], "uint64"), "labels 0 to 9 for cifar10, found 18446744"),
        (None, [10], "expected labels 0 to 9 for cifar10, found 10 to 10"),
    ],
)  # fmt: skip
def test_columns_that_cannot_be_read_are_named(
    images: Any, labels: Any, said: str, folder: Path, encoded: list[bytes]
) -> None:
    column = structs([encoded[0]]) if images is None else images
    write(folder / "train-0.parquet", column, labels)
    line = line_of(folder)
    assert "train-0.parquet" in line
    assert said in line


@pytest.mark.parametrize("twice", ["img", "label"])
def test_two_columns_for_one_thing_are_refused(
    twice: str, folder: Path, encoded: list[bytes]
) -> None:
    other = {"img": "image", "label": "fine_label"}[twice]
    columns = {"img": structs([encoded[0]]), "label": pa.array([0])}
    table = pa.table(columns).append_column(other, columns[twice])
    pq.write_table(table, folder / "train-0.parquet")
    assert f"expected one column {twice} or {other}" in line_of(folder)


SWAPPED = [CLASSES[1], CLASSES[0], *CLASSES[2:]]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (CLASSES, SWAPPED, "found another order: label 0 is 'class 1', there 'class 0'"),
        (CLASSES[:5], CLASSES, "expected 10 classes for cifar10, column label has 5"),
        (None, CLASSES, None),
        (CLASSES, CLASSES, None),
        (SWAPPED, SWAPPED, None),
    ],
)
def test_labels_mean_the_same_in_all_shards(
    first: list[str] | None, second: list[str], said: str | None, folder: Path, encoded: list[bytes]
) -> None:
    write(folder / "train-0.parquet", structs([encoded[0]]), [0], first)
    write(folder / "train-1.parquet", structs([encoded[1]]), [1], second)
    if said is None:
        assert load_dataset("cifar10", folder.parents[1]).train.labels.tolist() == [0, 1]
    else:
        assert said in line_of(folder)


def test_labels_of_another_column_in_one_shard_are_refused(
    folder: Path, encoded: list[bytes]
) -> None:
    table = pa.table({"img": structs([encoded[0]]), "fine_label": [1]})
    pq.write_table(table, folder / "train-0.parquet")
    assert "expected labels in column fine_label as in train-0.parquet, found column label" in (
        line_of(folder)
    )


PATHS = pa.struct([("bytes", pa.null()), ("path", pa.string())])


@pytest.mark.parametrize("kind", ["null bytes", "no bytes", "some bytes"])
def test_images_that_rows_name_are_read(
    kind: str, folder: Path, encoded: list[bytes], samples: Any
) -> None:
    (folder / "images").mkdir()
    names = [f"images/{number}.png" for number in range(3)]
    for name, data in zip(names, encoded, strict=True):
        (folder / name).write_bytes(data)
    column = {
        "null bytes": pa.array([{"bytes": None, "path": name} for name in names], PATHS),
        "no bytes": pa.StructArray.from_arrays([pa.array(names)], ["path"]),
        "some bytes": structs([None, encoded[1], None], [names[0], "elsewhere.png", names[2]]),
    }[kind]
    write(folder / "train-0.parquet", column, [7, 0, 9])
    dataset = load_dataset("cifar10", folder.parents[1])
    assert np.array_equal(dataset.train.images.numpy(), samples.pixels(3))
    other = samples.pixels(1, seed=5)[0]
    (folder / names[2]).write_bytes(samples.encode(other))
    changed = load_dataset("cifar10", folder.parents[1]).train.images.numpy()
    assert np.array_equal(changed[2], other), "a changed image was not noticed"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("missing.png", "row 0: holds no image, only the path 'missing.png', and there is no such"),
        ("", "row 0: expected image bytes, found none"),
        ("../outside.png", "only the path '../outside.png'; expected one that lies below"),
        ("/dev/zero", "only the path '/dev/zero'; expected one that lies below"),
        ("pipe", "and there is no such file below"),
        ("a\0b", "and there is no such file below"),
        ("https://example.org/1.png", "and there is no such file below"),
    ],
)
def test_paths_that_lead_nowhere_are_told(
    path: str, said: str, folder: Path, encoded: list[bytes]
) -> None:
    (folder.parent / "outside.png").write_bytes(encoded[0])
    os.mkfifo(folder / "pipe")
    write(folder / "train-0.parquet", pa.array([{"bytes": None, "path": path}], PATHS), [0])
    assert said in line_of(folder)


def png(pixels: NDArray[Any], mode: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    image = image.quantize() if mode == "P" else image.convert(mode)
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def deep_png() -> bytes:
    """16 bits in each of three channels, which Pillow does not write."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 32, 32, 16, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x12\x34" * 96) * 32)
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


FLAT = np.full((32, 32, 3), (10, 20, 30), np.uint8)
CLEAR = np.dstack([FLAT, np.full((32, 32), 128, np.uint8)])


@pytest.mark.parametrize(
    ("data", "pixel"),
    [
        (png(FLAT, "RGB"), (10, 20, 30)),
        (png(FLAT, "RGBA"), (10, 20, 30)),
        (png(FLAT, "P"), (10, 20, 30)),
        (png(FLAT[..., 0], "L"), (10, 10, 10)),
        (png(FLAT[..., 0], "LA"), (10, 10, 10)),
        (png(FLAT, "RGB", transparency=(9, 9, 9)), (10, 20, 30)),
    ],
)
def test_images_of_other_modes_are_right(
    data: bytes, pixel: tuple[int, int, int], folder: Path
) -> None:
    write(folder / "train-0.parquet", structs([data]), [0])
    image = load_dataset("cifar10", folder.parents[1]).train.images[0].numpy()
    assert (image == np.array(pixel)[:, None, None]).all()


def test_cmyk_comes_back_as_the_colours_it_was_made_of(folder: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(FLAT * 6).convert("CMYK").save(buffer, "JPEG", quality=100)
    write(folder / "train-0.parquet", structs([buffer.getvalue()]), [0])
    image = load_dataset("cifar10", folder.parents[1]).train.images[0].numpy()
    assert np.abs(image.astype(int) - np.array([60, 120, 180])[:, None, None]).max() <= 3


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (png(CLEAR, "RGBA"), "expected an opaque image, found transparent pixels"),
        (png(FLAT, "RGB", transparency=(10, 20, 30)), "expected an opaque image, found"),
        (deep_png(), "expected 8 bits per channel, found 16"),
    ],
)  # fmt: skip
def test_images_that_cannot_be_right_are_refused(data: bytes, said: str, folder: Path) -> None:
    write(folder / "train-0.parquet", structs([data]), [0])
    assert f"train-0.parquet, row 0: {said}" in line_of(folder)


def make_pointer(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Path.mkdir, "expected a parquet file, found a folder"),
        (os.mkfifo, "expected a parquet file, found a folder or device"),
        (lambda path: path.symlink_to("gone"), "train-0.parquet: a link to gone, which is missing"),
        (make_pointer, "a Git LFS pointer, not the file itself; git lfs pull gets it"),
        (lambda path: path.write_bytes(b"PAR1 and no more"), "truncated or corrupt parquet file"),
        (lambda path: path.write_bytes(b"PAR1" + b"\xff" * 99 + b"PAR1"), "no parquet file that"),
    ],
)  # fmt: skip
def test_what_is_no_shard_is_told(make: Callable[[Path], None], said: str, folder: Path) -> None:
    make(folder / "train-0.parquet")
    assert said in line_of(folder)
