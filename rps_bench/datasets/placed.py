"""Datasets on a device, copied once for all runs that train on them at the same time."""

from collections.abc import Hashable
from weakref import WeakValueDictionary

import torch

from rps_bench.datasets.base import Dataset


class PlacedData:
    """The datasets that runs hold on devices; a dataset is freed with the last run that holds it.

    Copying to a GPU is complete when it returns, so any stream may read the images. A run holds
    them to its end, so no stream of an active run reads freed memory.
    """

    def __init__(self) -> None:
        self._sets: WeakValueDictionary[tuple[Hashable, torch.device], Dataset] = (
            WeakValueDictionary()
        )

    def place(self, dataset: Dataset, identity: Hashable, device: torch.device) -> Dataset:
        """The dataset on the device: the same object for the same identity and device."""
        placed = self._sets.get((identity, device))
        if placed is None:
            placed = dataset.to(device)
            self._sets[identity, device] = placed
        return placed

    def count_bytes(self) -> int:
        """Number of bytes of all images and labels that are held."""
        splits = [split for data in self._sets.values() for split in (data.train, data.test)]
        return sum(split.images.nbytes + split.labels.nbytes for split in splits)
