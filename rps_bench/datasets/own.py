"""Datasets that bring a function of their own: what it gives, checked once a process."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from rps_bench.core.errors import UserError
from rps_bench.datasets.base import SPLITS, Dataset, Split
from rps_bench.datasets.info import DatasetInfo


@lru_cache(4)  # a sweep asks for them at every run
def load_own(info: DatasetInfo, root: Path) -> Dataset:
    """The images and labels that ``info.load`` gives.

    Raises:
        UserError: They are not as ``info`` says.
    """
    assert info.load is not None
    given = info.load(root)
    splits = {split: _make_split(info, split, given) for split in SPLITS}
    return Dataset(info=info, train=splits["train"], test=splits["test"])


def _make_split(info: DatasetInfo, split: str, given: Any) -> Split:
    size = info.image_size
    wanted = (
        f"{info.name}: load must give train and test, each with uint8 images "
        f"(N, 3, {size}, {size}) and int64 labels (N,)"
    )
    try:
        images, labels = (torch.as_tensor(values) for values in given[split])
    except (TypeError, ValueError, LookupError, RuntimeError) as error:
        raise UserError(f"{wanted}; of {split} it does not ({error})") from error
    shapes = tuple(images.shape), tuple(labels.shape)
    if shapes != ((len(labels), 3, size, size), (len(labels),)) or images.dtype != torch.uint8:
        raise UserError(f"{wanted}, got for {split} {_show(images)} and {_show(labels)}")
    if labels.dtype != torch.int64:
        raise UserError(f"{wanted}, got for {split} labels {_show(labels)}")
    official = info.num_train if split == "train" else info.num_test
    if not 0 < len(labels) <= official:
        raise UserError(f"{info.name}: {split} must have 1 to {official} images, got {len(labels)}")
    if int(labels.min()) < 0 or int(labels.max()) >= info.num_classes:
        highest = info.num_classes - 1
        raise UserError(f"{info.name}: the labels of {split} must be from 0 to {highest}")
    return Split(images.contiguous(), labels)


def _show(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
