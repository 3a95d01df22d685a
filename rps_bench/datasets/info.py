"""Properties of each dataset, known before any file is opened. Imports no torch.

Normalisation constants of the three downloaded sets are the customary per-channel values of the
training images. Those of ``digits`` were measured on its 1,437 training images.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Data root -> "train" and "test", each with uint8 images (N, 3, H, W) and int64 labels (N,), as
# arrays of numpy or tensors.
Load = Callable[[Path], Mapping[str, tuple[Any, Any]]]


@dataclass(frozen=True)
class HubCopy:
    """The public hub's parquet copy of a dataset."""

    repository: str  # owner/name on the hub
    folder: str  # folder of the shards inside the repository
    test_name: str = "test"  # name of the split with published labels, as its shards have it

    @property
    def patterns(self) -> dict[str, str]:
        """The glob pattern of each split's shards; copies differ in shard counts and hashes."""
        return {"train": "train-*.parquet", "test": f"{self.test_name}-*.parquet"}

    @property
    def local_folder(self) -> str:
        """The folder of the shards below the data root, such as ``cifar10/plain_text``."""
        return f"{self.repository.split('/')[1]}/{self.folder}"


@dataclass(frozen=True)
class Archive:
    """The official archive of a dataset."""

    url: str
    md5: str
    folder: str  # the top folder inside the archive, and its name below the data root
    layout: str  # a key of rps_bench.datasets.archives.LAYOUTS


@dataclass(frozen=True)
class DatasetInfo:
    """The fixed properties of a dataset; ``num_train`` and ``num_test`` are of the official set."""

    name: str
    num_classes: int
    image_size: int  # images are (3, image_size, image_size)
    mean: tuple[float, float, float]  # per channel, of pixels scaled to [0, 1]
    std: tuple[float, float, float]
    num_train: int
    num_test: int
    flip: bool  # augmentation may flip an image left to right without changing its class
    title: str = ""  # in figures and tables; empty: the name
    hub: HubCopy | None = None  # None: the images are part of an installed package
    archive: Archive | None = None
    load: Load | None = None  # of a plugin's dataset: its own function, called once a process
    smallest_size: int = 1  # that images may be averaged down to; below it nothing real is left

    @property
    def sizes(self) -> tuple[int, ...]:
        """The heights and widths that images can be had in: whole parts of their own, ascending."""
        smaller = range(self.smallest_size, self.image_size)
        return (*(size for size in smaller if self.image_size % size == 0), self.image_size)


def sized_name(dataset: str, image_size: int | None) -> str:
    """A dataset in names of runs and files, such as ``cifar10-16px``; None is its own size."""
    return dataset if image_size is None else f"{dataset}-{image_size}px"


DATASETS: dict[str, DatasetInfo] = {
    "digits": DatasetInfo(
        name="digits",
        title="digits",
        num_classes=10,
        image_size=32,
        mean=(0.305, 0.305, 0.305),
        std=(0.376, 0.376, 0.376),
        num_train=1_437,
        num_test=360,
        flip=False,
        smallest_size=8,  # what was scanned
    ),
    "cifar10": DatasetInfo(
        name="cifar10",
        title="CIFAR-10",
        num_classes=10,
        image_size=32,
        mean=(0.491, 0.482, 0.447),
        std=(0.247, 0.243, 0.262),
        num_train=50_000,
        num_test=10_000,
        flip=True,
        hub=HubCopy("uoft-cs/cifar10", "plain_text"),
        archive=Archive(
            url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            md5="c58f30108f718f92721af3b95e74349a",
            folder="cifar-10-batches-py",
            layout="cifar10_pickles",
        ),
    ),
    "cifar100": DatasetInfo(
        name="cifar100",
        title="CIFAR-100",
        num_classes=100,
        image_size=32,
        mean=(0.507, 0.487, 0.441),
        std=(0.267, 0.256, 0.276),
        num_train=50_000,
        num_test=10_000,
        flip=True,
        hub=HubCopy("uoft-cs/cifar100", "cifar100"),
        archive=Archive(
            url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
            md5="eb9058c3a382ffc7106e4002c42a8d85",
            folder="cifar-100-python",
            layout="cifar100_pickles",
        ),
    ),
    "tiny_imagenet": DatasetInfo(
        name="tiny_imagenet",
        title="Tiny ImageNet",
        num_classes=200,
        image_size=64,
        mean=(0.480, 0.448, 0.397),
        std=(0.276, 0.269, 0.282),
        num_train=100_000,
        num_test=10_000,
        flip=True,
        hub=HubCopy("zh-plus/tiny-imagenet", "data", test_name="valid"),
        archive=Archive(
            url="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
            md5="90528d7ca1a48142e341f4ef8d21d0de",
            folder="tiny-imagenet-200",
            layout="tiny_imagenet_folder",
        ),
    ),
}
