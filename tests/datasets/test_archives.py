"""Official archives, unpacked by hand or by this project."""

import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rps_bench.core.errors import UserError
from rps_bench.datasets import DATASETS, load_dataset
from rps_bench.datasets.archives import unpack
from rps_bench.datasets.unpickle import read_pickled_arrays

CIFAR = DATASETS["cifar10"].archive
assert CIFAR is not None


def test_cifar10_batches(samples: Any, tmp_path: Path) -> None:
    samples.write_cifar10_archive(tmp_path)
    dataset = load_dataset("cifar10", tmp_path)
    assert np.array_equal(dataset.train.images.numpy(), samples.train())
    assert np.array_equal(dataset.test.images.numpy(), samples.test())
    assert dataset.train.labels.tolist() == [row % 10 for row in range(30)]


def test_cifar100_batches_use_fine_labels(samples: Any, tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name, label in (("train", 99), ("test", 42)):
        content = {b"data": samples.pixels(1).reshape(1, -1), b"fine_labels": [label]}
        content[b"coarse_labels"] = [3]
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    dataset = load_dataset("cifar100", tmp_path)
    assert (dataset.train.labels.tolist(), dataset.test.labels.tolist()) == ([99], [42])


def test_parquet_goes_before_the_archive(samples: Any, tmp_path: Path) -> None:
    samples.write_cifar10_archive(tmp_path)
    samples.write_parquet(tmp_path, seed=7)
    images = load_dataset("cifar10", tmp_path).train.images.numpy()
    assert np.array_equal(images, samples.train(seed=7))


def test_tiny_imagenet_folder(samples: Any, tmp_path: Path) -> None:
    samples.write_tiny_archive(tmp_path)
    dataset = load_dataset("tiny_imagenet", tmp_path)
    assert dataset.train.images.shape == (9, 3, 64, 64)
    assert dataset.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert dataset.test.labels.tolist() == [199, 198, 197, 196]
    grey = dataset.test.images[1]
    assert torch.equal(grey, grey[:1].expand(3, 64, 64))
    assert not torch.equal(dataset.test.images[0, 0], dataset.test.images[0, 1])


def test_pickle_of_python_2_with_numpy_1(tmp_path: Path) -> None:
    """Byte for byte what the official batches look like, their integer flag of dtype included."""
    path = tmp_path / "data_batch_1"
    path.write_bytes(
        b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b"
        b"\x87R(K\x01K\x01K\x03\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff"
        b"\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x03\x07\x08\x09tbU\x06labels]K\x05au."
    )
    content = read_pickled_arrays(path)
    assert content[b"data"].tolist() == [[7, 8, 9]]
    assert content[b"labels"] == [5]


class Evil:
    """Unpickling one makes a folder, unless the reader refuses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def test_pickle_runs_no_code(samples: Any, tmp_path: Path) -> None:
    folder = samples.write_cifar10_archive(tmp_path)
    (folder / "data_batch_3").write_bytes(pickle.dumps({b"data": Evil(tmp_path / "made")}))
    with pytest.raises(UserError, match=r"data_batch_3: .*asks for (posix|nt)\.mkdir"):
        load_dataset("cifar10", tmp_path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "expected a pickled dict, found list"),
        ({b"data": np.zeros((1, 3072), np.uint8)}, "expected an array 'data' and a list 'labels'"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]}, r"expected uint8 pixels \(1, 3"),
        ({b"data": np.zeros((1, 3072)), b"labels": [0]}, "found float64"),
        ({b"data": np.zeros((1, 3072), np.uint8), b"labels": ["a"]}, "expected integer labels"),
        ({b"data": np.zeros((1, 3072), np.uint8), b"labels": [10]}, "expected labels 0 to 9"),
    ],
)
def test_bad_batch_is_refused(samples: Any, tmp_path: Path, content: Any, message: str) -> None:
    folder = samples.write_cifar10_archive(tmp_path)
    (folder / "data_batch_2").write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(UserError, match=rf"data_batch_2: .*{message}"):
        load_dataset("cifar10", tmp_path)


def test_truncated_and_missing_batches_are_named(samples: Any, tmp_path: Path) -> None:
    batch = samples.write_cifar10_archive(tmp_path) / "data_batch_5"
    batch.write_bytes(batch.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"data_batch_5: truncated or corrupt.*archive again"):
        load_dataset("cifar10", tmp_path)
    batch.unlink()
    with pytest.raises(UserError, match=r"data_batch_5: missing.*unpack cifar-10-python\.tar\.gz"):
        load_dataset("cifar10", tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("wnids.txt", "n00000001\n", r"wnids\.txt: expected 200 different wnids, found 1"),
        ("wnids.txt", None, r"wnids\.txt: missing or unreadable"),
        ("val/val_annotations.txt", "val_0.JPEG\tn9\n", r"annotations\.txt, line 1: .*found 'val"),
        ("val/val_annotations.txt", "../../x\tn00000001\n", "line 1: expected an image name"),
        ("val/images/val_2.JPEG", None, r"val_2\.JPEG: missing"),
        ("val/images/val_2.JPEG", "text", r"val_2\.JPEG: expected a whole image"),
    ],
)
def test_bad_tiny_folder_is_refused(
    samples: Any, tmp_path: Path, file: str, content: str | None, message: str
) -> None:
    path = samples.write_tiny_archive(tmp_path) / file
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(UserError, match=message):
        load_dataset("tiny_imagenet", tmp_path)


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "cifar-10-batches-py/../../escaped"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_unpacking_stays_inside(tmp_path: Path, name: str, kind: str) -> None:
    assert CIFAR is not None
    packed = tmp_path / "packed"
    if kind == "zip":
        with zipfile.ZipFile(packed, "w") as zip_file:
            zip_file.writestr("cifar-10-batches-py/good", "x")
            zip_file.writestr(name, "x")
    else:
        with tarfile.open(packed, "w:gz") as tar:
            for member in ("cifar-10-batches-py/good", name):
                header = tarfile.TarInfo(member)
                header.size = 1
                tar.addfile(header, io.BytesIO(b"x"))
    inside = tmp_path / "inside"
    inside.mkdir()
    if (kind, name) == ("tar", "/escaped"):  # tar's data filter drops the slash
        unpack(packed, CIFAR, inside)
    else:
        with pytest.raises(ValueError, match="escaped"):
            unpack(packed, CIFAR, inside)
    assert not (tmp_path / "escaped").exists()
    assert not Path("/escaped").exists()


def test_unpacking_refuses_links_out(tmp_path: Path) -> None:
    assert CIFAR is not None
    with tarfile.open(tmp_path / "packed", "w") as tar:
        header = tarfile.TarInfo("cifar-10-batches-py")
        header.type, header.linkname = tarfile.SYMTYPE, str(tmp_path)
        tar.addfile(header)
    with pytest.raises(ValueError, match="cannot be unpacked"):
        unpack(tmp_path / "packed", CIFAR, tmp_path / "inside")


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b broken", b"PK\x03\x04 broken"])
def test_broken_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    assert CIFAR is not None
    (tmp_path / "packed").write_bytes(data)
    with pytest.raises(ValueError, match="cannot be unpacked"):
        unpack(tmp_path / "packed", CIFAR, tmp_path / "inside")
