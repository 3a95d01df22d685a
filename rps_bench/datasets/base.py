"""The contracts of this room: a dataset in memory, and a source of files to decode."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from rps_bench.datasets.info import DatasetInfo

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Split:
    """Images and labels of one split, in a fixed order."""

    images: torch.Tensor  # (N, 3, H, W) uint8
    labels: torch.Tensor  # (N,) int64

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> "Split":
        """The same split on a device."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """A dataset in memory (or mapped into it), with its official train and test splits.

    ``num_held_out`` is the number of training images that serve as ``test`` if a validation split
    was asked for, else 0. ``imbalance`` is the ratio of the largest to the smallest training class
    if one was asked for, else None.
    """

    info: DatasetInfo
    train: Split
    test: Split
    num_held_out: int = 0
    imbalance: float | None = None

    def to(self, device: torch.device) -> "Dataset":
        """The same dataset with its images and labels on a device."""
        return replace(self, train=self.train.to(device), test=self.test.to(device))

    @property
    def name(self) -> str:
        """The key in ``DATASETS``."""
        return self.info.name

    @property
    def num_classes(self) -> int:
        """Number of classes of the official set, even if fewer occur here."""
        return self.info.num_classes

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""
        return self.info.image_size

    @property
    def mean(self) -> tuple[float, float, float]:
        """Per-channel mean of pixels scaled to [0, 1]."""
        return self.info.mean

    @property
    def std(self) -> tuple[float, float, float]:
        """Per-channel standard deviation of pixels scaled to [0, 1]."""
        return self.info.std

    @property
    def flip(self) -> bool:
        """Whether augmentation may flip images left to right."""
        return self.info.flip

    @property
    def num_train_official(self) -> int:
        """Training images of the whole official set."""
        return self.info.num_train

    @property
    def num_test_official(self) -> int:
        """Test images of the whole official set."""
        return self.info.num_test

    @property
    def is_partial(self) -> bool:
        """Whether images of the official set are missing here; held-out images count as present.

        A dataset with ``imbalance`` is partial: it says little about the official set.
        """
        train_is_short = len(self.train) + self.num_held_out < self.num_train_official
        test_is_short = self.num_held_out == 0 and len(self.test) < self.num_test_official
        return train_is_short or test_is_short


class Source(Protocol):
    """Files with a dataset, not decoded yet. Bad content is a UserError that names the file."""

    @property
    def folder(self) -> Path:
        """The folder that ``files`` lie in."""

    @property
    def files(self) -> tuple[Path, ...]:
        """All files on which the images and labels depend."""

    def count(self, split: str) -> int:
        """Number of images in a split."""

    def fill(self, split: str, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        """Decode a split into arrays of shape (count, 3, H, W) and (count,)."""
