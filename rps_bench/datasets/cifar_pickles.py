"""The unpacked official CIFAR archives: pickled batches of pixel rows (Krizhevsky, 2009)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rps_bench.core.errors import UserError
from rps_bench.datasets.images import check_labels
from rps_bench.datasets.info import DatasetInfo
from rps_bench.datasets.unpickle import read_pickled_arrays


@dataclass(frozen=True)
class CifarPickles:
    """The batches of both splits in one folder."""

    info: DatasetInfo
    folder: Path
    batches: dict[str, tuple[str, ...]]  # split -> file names
    label_key: bytes

    @property
    def files(self) -> tuple[Path, ...]:
        """All batches, existing or not: opening a missing one names it."""
        return tuple(self.folder / name for names in self.batches.values() for name in names)

    def count(self, split: str) -> int:
        """Number of images in a split; reads its batches."""
        return sum(len(self._read(name)[1]) for name in self.batches[split])

    def fill(self, split: str, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        """Copy a split into (count, 3, H, W) and (count,)."""
        row = 0
        for name in self.batches[split]:
            batch_images, batch_labels = self._read(name)
            images[row : row + len(batch_labels)] = batch_images
            labels[row : row + len(batch_labels)] = batch_labels
            row += len(batch_labels)

    def _read(self, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        path = self.folder / name
        content = read_pickled_arrays(path)
        pixels, listed = content.get(b"data"), content.get(self.label_key)
        size = self.info.image_size
        if not isinstance(pixels, np.ndarray) or not isinstance(listed, list):
            raise UserError(
                f"{path}: expected an array 'data' and a list '{self.label_key.decode()}'"
            )
        if pixels.dtype != np.uint8 or pixels.shape != (len(listed), 3 * size * size):
            raise UserError(
                f"{path}: expected uint8 pixels ({len(listed)}, {3 * size * size}), "
                f"found {pixels.dtype} {pixels.shape}"
            )
        if not all(isinstance(label, int) for label in listed):
            raise UserError(f"{path}: expected integer labels")
        labels = np.array(listed, dtype=np.int64)
        check_labels(labels, self.info, str(path))
        return pixels.reshape(-1, 3, size, size), labels


def open_cifar10(info: DatasetInfo, folder: Path) -> CifarPickles:
    """The folder ``cifar-10-batches-py``."""
    train = tuple(f"data_batch_{number}" for number in range(1, 6))
    return CifarPickles(info, folder, {"train": train, "test": ("test_batch",)}, b"labels")


def open_cifar100(info: DatasetInfo, folder: Path) -> CifarPickles:
    """The folder ``cifar-100-python``, with its 100 fine labels."""
    return CifarPickles(info, folder, {"train": ("train",), "test": ("test",)}, b"fine_labels")
