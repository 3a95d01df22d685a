"""The decoded cache: used when it can be trusted, rebuilt when not, never half written."""

import os
import shutil
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rps_bench.core.errors import UserError
from rps_bench.datasets import DATASETS, digests, load_dataset
from rps_bench.datasets.base import Dataset
from rps_bench.datasets.parquet import ParquetSource
from tests.conftest import Disk


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The splits decoded so far, in order."""
    seen: list[str] = []
    fill = ParquetSource.fill

    def count(self: ParquetSource, split: str, images: Any, labels: Any) -> None:
        seen.append(split)
        fill(self, split, images, labels)

    monkeypatch.setattr(ParquetSource, "fill", count)
    return seen


def cache_of(root: Path) -> Path:
    """The one cache folder below a root."""
    (folder,) = (root / "decoded").glob("cifar10-*")
    return folder


def assert_right(dataset: Dataset, samples: Any, seed: int = 0) -> None:
    assert np.array_equal(dataset.train.images.numpy(), samples.train(seed=seed))
    assert np.array_equal(dataset.test.images.numpy(), samples.test(seed=seed))
    assert dataset.train.labels.tolist() == [row % 10 for row in range(30)]


def test_second_load_decodes_nothing(samples: Any, tmp_path: Path, decodings: list[str]) -> None:
    samples.write_parquet(tmp_path)
    for _ in range(2):
        assert_right(load_dataset("cifar10", tmp_path), samples)
    assert decodings == ["train", "test"]
    assert sorted(path.name for path in cache_of(tmp_path).iterdir()) == [
        "manifest.json",
        "test_images.npy",
        "test_labels.npy",
        "train_images.npy",
        "train_labels.npy",
    ]


def test_writing_to_a_tensor_changes_no_file(samples: Any, tmp_path: Path) -> None:
    samples.write_parquet(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = load_dataset("cifar10", tmp_path)
        before = (cache_of(tmp_path) / "train_images.npy").read_bytes()
        dataset.train.images.fill_(0)
    assert int(dataset.train.images.sum()) == 0
    assert (cache_of(tmp_path) / "train_images.npy").read_bytes() == before


def test_changed_source_is_decoded_again(samples: Any, tmp_path: Path) -> None:
    samples.write_parquet(tmp_path)
    load_dataset("cifar10", tmp_path)
    samples.write_parquet(tmp_path, seed=3)
    assert_right(load_dataset("cifar10", tmp_path), samples, seed=3)


def test_change_with_the_same_size_and_date_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_SETTLE_SECONDS", -1.0)  # remember at once
    file, memory = tmp_path / "file", tmp_path / "memory"
    file.write_bytes(b"before")
    digest = digests.content_digest(tmp_path, [file], memory)
    assert digests.content_digest(tmp_path, [file], memory) == digest
    assert len(list(memory.iterdir())) == 1
    stat = file.stat()
    time.sleep(0.02)  # more than a tick of the file system's clock
    file.write_bytes(b"after!")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert file.stat().st_mtime_ns == stat.st_mtime_ns
    assert digests.content_digest(tmp_path, [file], memory) != digest


def test_names_and_contents_both_count(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for a, b in (("x", "y"), ("y", "x"), ("xy", "")):
        first.write_text(a)
        second.write_text(b)
        (tmp_path / f"seen-{digests.hash_files(tmp_path, [first, second])}").touch()
    assert len(list(tmp_path.glob("seen-*"))) == 3
    assert digests.hash_files(tmp_path, [first]) != digests.hash_files(tmp_path, [second])


def test_unchanged_files_are_not_hashed_again(
    samples: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_SETTLE_SECONDS", -1.0)
    samples.write_parquet(tmp_path)
    load_dataset("cifar10", tmp_path)
    monkeypatch.setattr(digests, "hash_files", None)  # calling it would fail
    assert_right(load_dataset("cifar10", tmp_path), samples)


def test_fresh_files_are_not_remembered(samples: Any, tmp_path: Path) -> None:
    """A file may change twice within one tick of the clock."""
    files = sorted(samples.write_parquet(tmp_path).iterdir())
    digests.content_digest(files[0].parent, files, tmp_path / "memory")
    assert not (tmp_path / "memory").exists()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_last_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [truncate, flip_last_bit, empty, remove])
@pytest.mark.parametrize("file", ["train_images.npy", "test_labels.npy", "manifest.json"])
def test_damaged_cache_is_rebuilt(
    samples: Any, tmp_path: Path, decodings: list[str], file: str, damage: Any
) -> None:
    samples.write_parquet(tmp_path)
    load_dataset("cifar10", tmp_path)
    damage(cache_of(tmp_path) / file)
    assert_right(load_dataset("cifar10", tmp_path), samples)
    assert decodings == ["train", "test"] * 2
    load_dataset("cifar10", tmp_path)
    assert decodings == ["train", "test"] * 2


@pytest.mark.parametrize("field", ["format", "source_digest", "arrays_digest"])
def test_manifest_of_another_time_is_not_trusted(
    samples: Any, tmp_path: Path, decodings: list[str], field: str
) -> None:
    samples.write_parquet(tmp_path)
    load_dataset("cifar10", tmp_path)
    manifest = cache_of(tmp_path) / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"{field}": ', f'"{field}": 0, "was": '))
    assert_right(load_dataset("cifar10", tmp_path), samples)
    assert decodings == ["train", "test"] * 2


def test_left_over_of_a_killed_process_is_cleared(samples: Any, tmp_path: Path) -> None:
    samples.write_parquet(tmp_path)
    left_over = tmp_path / "decoded" / ".building-cifar10"
    left_over.mkdir(parents=True)
    (left_over / "train_images.npy").write_bytes(b"half")
    assert_right(load_dataset("cifar10", tmp_path), samples)
    assert not left_over.exists()


def test_source_that_changes_meanwhile_is_refused(
    samples: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = samples.write_parquet(tmp_path)
    fill = ParquetSource.fill

    def fill_and_touch(self: ParquetSource, split: str, images: Any, labels: Any) -> None:
        fill(self, split, images, labels)
        os.utime(next(folder.iterdir()), ns=(1, 1))

    monkeypatch.setattr(ParquetSource, "fill", fill_and_touch)
    with pytest.raises(UserError, match="changed while they were read"):
        load_dataset("cifar10", tmp_path)
    assert not list((tmp_path / "decoded").glob("*cifar10-*"))


def test_read_only_root_is_decoded_into_the_user_cache(samples: Any, tmp_path: Path) -> None:
    root = tmp_path / "data"
    samples.write_parquet(root)
    root.chmod(0o555)
    assert_right(load_dataset("cifar10", root), samples)
    assert [path.name for path in root.iterdir()] == ["cifar10"]
    assert cache_of(tmp_path / "user_cache" / "rps_bench").is_dir()


def test_no_place_for_the_cache_is_said(samples: Any, tmp_path: Path) -> None:
    samples.write_parquet(tmp_path)
    (tmp_path / "decoded").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"cannot decode .* into .*decoded.*XDG_CACHE_HOME"):
        load_dataset("cifar10", tmp_path)


def test_two_datasets_share_a_folder(samples: Any, tmp_path: Path) -> None:
    samples.write_parquet(tmp_path, "cifar10")
    samples.write_parquet(tmp_path, "cifar100")
    assert load_dataset("cifar10", tmp_path).num_classes == 10
    dataset = load_dataset("cifar100", tmp_path)
    assert dataset.train.labels.tolist() == list(range(30))
    assert dataset.info is DATASETS["cifar100"]


def test_a_full_disk_is_said_and_later_made_good(samples: Any, small_disk: Disk) -> None:
    """Images are mapped into memory: without room for them, writing would end the process."""
    samples.write_parquet(small_disk.folder)
    before = set(small_disk.folder.rglob("*"))
    small_disk.fill(leave=16_384)
    with pytest.raises(UserError, match=r"cannot decode .*No space left on device"):
        load_dataset("cifar10", small_disk.folder)
    left = {path.name for path in set(small_disk.folder.rglob("*")) - before}
    assert left == {"decoded", "cifar10.lock", "others"}
    small_disk.make_room()
    assert_right(load_dataset("cifar10", small_disk.folder), samples)


def test_a_disk_that_takes_no_note_costs_a_hash_and_no_more(
    samples: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_SETTLE_SECONDS", -1.0)
    samples.write_parquet(tmp_path)
    load_dataset("cifar10", tmp_path)
    notes = tmp_path / "decoded" / "digests"
    shutil.rmtree(notes)
    notes.write_text("a file where the folder should be")
    assert_right(load_dataset("cifar10", tmp_path), samples)
