"""Parquet shards in the hub's layout, whatever copy they come from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rps_bench.core.errors import UserError
from rps_bench.datasets import load_dataset


def write_one_image_splits(
    samples: Any, root: Path, data: bytes | None, label: Any = 0, columns: Any = ("img", "label")
) -> Path:
    """A cifar10 folder whose train shard holds one image, and a good test shard."""
    folder = root / "cifar10" / "plain_text"
    good = samples.encode(samples.pixels(1, seed=1)[0])
    samples.write_shard(folder / "train-0.parquet", [data], [label], columns)
    samples.write_shard(folder / "test-0.parquet", [good], [0])
    return folder / "train-0.parquet"


def test_all_shards_are_read_in_order(samples: Any, tmp_path: Path) -> None:
    samples.write_parquet(tmp_path)
    dataset = load_dataset("cifar10", tmp_path)
    assert np.array_equal(dataset.train.images.numpy(), samples.train())
    assert np.array_equal(dataset.test.images.numpy(), samples.test())
    assert dataset.train.labels.tolist() == [row % 10 for row in range(30)]
    assert dataset.train.labels.dtype == torch.int64
    assert dataset.is_partial
    assert (dataset.num_train_official, dataset.num_test_official) == (50_000, 10_000)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_lossless_images_are_exact(samples: Any, tmp_path: Path, kind: str) -> None:
    pixels = samples.pixels(1)
    write_one_image_splits(samples, tmp_path, samples.encode(pixels[0], kind))
    assert np.array_equal(load_dataset("cifar10", tmp_path).train.images.numpy(), pixels)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_grey_images_get_three_equal_channels(samples: Any, tmp_path: Path, kind: str) -> None:
    flat = np.full((3, 32, 32), 77, dtype=np.uint8)
    write_one_image_splits(samples, tmp_path, samples.encode(flat, kind, "L"))
    assert np.array_equal(load_dataset("cifar10", tmp_path).train.images[0].numpy(), flat)


def test_cifar100_and_tiny_imagenet_columns(samples: Any, tmp_path: Path) -> None:
    for folder, size, columns, test_name in (
        ("cifar100/cifar100", 32, ("img", "fine_label"), "test-0.parquet"),
        ("tiny-imagenet/data", 64, ("image", "label"), "valid-0-abc123.parquet"),
    ):
        images = [samples.encode(image, "JPEG") for image in samples.pixels(2, size)]
        samples.write_shard(tmp_path / folder / "train-0.parquet", images, [99, 3], columns)
        samples.write_shard(tmp_path / folder / test_name, images, [5, 98], columns)
    for name, size in (("cifar100", 32), ("tiny_imagenet", 64)):
        dataset = load_dataset(name, tmp_path)
        assert dataset.train.images.shape == (2, 3, size, size)
        assert dataset.train.labels.tolist() == [99, 3]
        assert dataset.test.labels.tolist() == [5, 98]


def test_unlabelled_test_shards_of_tiny_imagenet_are_left_alone(
    samples: Any, tmp_path: Path
) -> None:
    images = [samples.encode(image) for image in samples.pixels(1, 64)]
    for name, label in (("train-0", 4), ("valid-0", 5), ("test-0", -1)):
        path = tmp_path / "tiny-imagenet" / "data" / f"{name}.parquet"
        samples.write_shard(path, images, [label], ("image", "label"))
    assert load_dataset("tiny_imagenet", tmp_path).test.labels.tolist() == [5]


def test_root_from_the_environment(
    samples: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples.write_parquet(tmp_path / "elsewhere")
    monkeypatch.setenv("RPS_BENCH_DATA", str(tmp_path / "elsewhere"))
    assert len(load_dataset("cifar10").train) == 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 10}, r"train-0\.parquet: expected labels 0 to 9 .*found 10 to 10"),
        ({"label": -1}, r"train-0\.parquet: expected labels 0 to 9 .*found -1 to -1"),
        ({"label": 0.5}, r"train-0\.parquet: expected an integer in every row of column label"),
        ({"data": None}, r"train-0\.parquet, row 0: expected image bytes, found none"),
        ({"data": b"no image"}, r"train-0\.parquet, row 0: expected a whole image"),
        ({"size": 31}, r"train-0\.parquet, row 0: expected 32x32 pixels, found 31x31"),
        ({"mode": "I;16"}, r"row 0: expected 8 bits per channel, found Pillow mode I;16"),
        ({"columns": ("pixels", "label")}, r"expected a column img or image, found pixels, label"),
        ({"columns": ("img", "y")}, r"expected a column label or fine_label, found img, y"),
    ],
)
def test_bad_content_is_one_line_and_leaves_no_cache(
    samples: Any, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    image = samples.pixels(1, change.pop("size", 32))[0]
    mode = change.pop("mode", "RGB")
    data = samples.encode(image, mode=mode) if mode == "RGB" else encode_deep_grey()
    write_one_image_splits(samples, tmp_path, **{"data": data, **change})
    with pytest.raises(UserError, match=message) as caught:
        load_dataset("cifar10", tmp_path)
    assert "\n" not in str(caught.value)
    left = [path.name for path in (tmp_path / "decoded").glob("*") if path.is_dir()]
    assert left in ([], ["digests"])


def encode_deep_grey() -> bytes:
    """A 16-bit PNG."""
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.full((32, 32), 40_000, dtype=np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_truncated_image_is_refused(samples: Any, tmp_path: Path, kind: str) -> None:
    data = samples.encode(samples.pixels(1)[0], kind)
    write_one_image_splits(samples, tmp_path, data[: len(data) // 2])
    with pytest.raises(UserError, match="row 0: expected a whole image, found corrupt bytes"):
        load_dataset("cifar10", tmp_path)


def test_row_of_a_later_shard_is_named(samples: Any, tmp_path: Path) -> None:
    folder = samples.write_parquet(tmp_path)
    good = samples.encode(samples.pixels(1, seed=1)[0])
    samples.write_shard(folder / "train-00001-of-00002.parquet", [good, b"bad"], [0, 1])
    with pytest.raises(UserError, match=r"train-00001-of-00002\.parquet, row 1: "):
        load_dataset("cifar10", tmp_path)


def test_missing_webp_support_is_said(
    samples: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_one_image_splits(samples, tmp_path, samples.encode(samples.pixels(1)[0], "WEBP"))
    monkeypatch.setattr("rps_bench.datasets.images.features.check", lambda _: False)
    with pytest.raises(UserError, match="Pillow build lacks WebP"):
        load_dataset("cifar10", tmp_path)


@pytest.mark.parametrize("keep", [0, 4, 200])
def test_truncated_shard_is_refused(samples: Any, tmp_path: Path, keep: int) -> None:
    shard = samples.write_parquet(tmp_path) / "train-00001-of-00002.parquet"
    shard.write_bytes(shard.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"train-00001.*truncated or corrupt.*get it again") as info:
        load_dataset("cifar10", tmp_path)
    assert "\n" not in str(info.value)


def test_corrupt_page_is_refused(samples: Any, tmp_path: Path) -> None:
    shard = samples.write_parquet(tmp_path) / "train-00000-of-00002.parquet"
    data = bytearray(shard.read_bytes())
    data[4:400] = b"\xff" * 396  # the first page's header
    shard.write_bytes(data)
    with pytest.raises(UserError, match=r"train-00000-of-00002\.parquet"):
        load_dataset("cifar10", tmp_path)


@pytest.mark.parametrize(("split", "names"), [("train", "train-"), ("test", "test-")])
def test_missing_split_is_refused(samples: Any, tmp_path: Path, split: str, names: str) -> None:
    for shard in samples.write_parquet(tmp_path).glob(f"{names}*"):
        shard.unlink()
    with pytest.raises(UserError, match=rf"no {split} split, expected {names}\*\.parquet.*uoft-cs"):
        load_dataset("cifar10", tmp_path)


def test_empty_split_is_refused(samples: Any, tmp_path: Path) -> None:
    folder = samples.write_parquet(tmp_path)
    labels = np.zeros(0, dtype=np.int64)
    samples.write_shard(folder / "test-00000-of-00001.parquet", [], labels)
    with pytest.raises(UserError, match="the test split holds no image"):
        load_dataset("cifar10", tmp_path)
