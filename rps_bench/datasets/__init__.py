"""Datasets by name: uint8 images and labels with fixed splits.

Importing this package imports no torch, so a command line can check names at once. Elsewhere in the
room: ``splits.hold_out`` for a validation split, ``probe.probe_batch`` for the batch that methods
may look at before training.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from rps_bench.core.nearest import unknown_name
from rps_bench.datasets.info import DATASETS, DatasetInfo

if TYPE_CHECKING:
    from rps_bench.datasets.base import Dataset
    from rps_bench.datasets.download import DownloadPolicy

__all__ = ["DATASETS", "DatasetInfo", "load_dataset"]


def load_dataset(
    name: str, root: str | Path | None = None, policy: "DownloadPolicy | None" = None
) -> "Dataset":
    """Load a dataset by name, downloading and decoding it the first time.

    Args:
        name: A key of ``DATASETS``.
        root: Folder that holds (or will hold) the files; default: the environment variable
            RPS_BENCH_DATA, else ``rps_bench`` in the user's cache folder.
        policy: Addresses, timeouts and retries of a download; default: the public ones.

    Returns:
        The dataset: its properties, and ``.train`` and ``.test``, each with ``.images`` uint8 (N,
        3, H, W) and ``.labels`` int64 (N,).

    Raises:
        UserError: An unknown name, files that are missing or corrupt, or a failed download.
    """
    if name not in DATASETS:
        raise unknown_name("dataset", name, DATASETS)
    from rps_bench.datasets.download import DownloadPolicy
    from rps_bench.datasets.sources import load

    return load(DATASETS[name], root, policy or DownloadPolicy())
