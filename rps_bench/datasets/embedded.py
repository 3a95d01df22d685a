"""``digits``: scikit-learn's handwritten digits, the default that needs no download.

1,797 real 8x8 images with 17 grey levels: the test set of "Optical Recognition of Handwritten
Digits" by E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998
(https://archive.ics.uci.edu/dataset/80, licence CC BY 4.0), in the order of ``load_digits``. They
lie beside this file: scikit-learn, which has them too, takes as long to import as PyTorch.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rps_bench.datasets.base import Dataset, Split
from rps_bench.datasets.info import DatasetInfo

_ENLARGEMENT = 4  # 8x8 to 32x32 by repeating pixels: exact, whatever the library versions


@cache  # every run of a sweep asks for them
def load_embedded(info: DatasetInfo) -> Dataset:
    """The digits as 32x32 RGB with the fixed split; rows keep scikit-learn's order."""
    with np.load(Path(__file__).with_name("digits.npz")) as file:
        levels, labels = file["images"], file["labels"].astype(np.int64)
    is_test = choose_test_rows(labels, info.num_test)
    images = enlarge(levels)
    return Dataset(
        info=info,
        train=_make_split(images[~is_test], labels[~is_test]),
        test=_make_split(images[is_test], labels[is_test]),
    )


def enlarge(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale (N, 8, 8) values 0..16 to (N, 3, 32, 32) values 0..255, rounded half up."""
    levels = (images.astype(np.int64) * 255 + 8) // 16  # (N, 8, 8)
    large = levels.astype(np.uint8).repeat(_ENLARGEMENT, axis=1).repeat(_ENLARGEMENT, axis=2)
    return np.ascontiguousarray(np.broadcast_to(large[:, None], (len(large), 3, 32, 32)))


def choose_test_rows(labels: NDArray[np.int64], num_test: int) -> NDArray[np.bool_]:
    """The fixed, stratified test split, as a mask (N,).

    Each class contributes its share of ``num_test``, rounded by largest remainder (ties: lower
    class). Within a class the rows are ordered by the SHA-256 of ``digits/<row>`` and the first
    ones are taken. No random generator is used, so no library version can change the split.
    """
    counts = np.bincount(labels)
    shares, remainders = np.divmod(counts * num_test, len(labels))
    # Classes with the largest remainders get one more, until the number is reached.
    by_remainder = np.argsort(-remainders, kind="stable")
    shares[by_remainder[: num_test - shares.sum()]] += 1
    is_test = np.zeros(len(labels), dtype=np.bool_)
    for label, share in enumerate(shares):
        rows = sorted(np.flatnonzero(labels == label).tolist(), key=_rank_of_row)
        is_test[rows[:share]] = True
    return is_test


def _rank_of_row(row: int) -> bytes:
    return hashlib.sha256(f"digits/{row}".encode()).digest()


def _make_split(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Split:
    return Split(torch.from_numpy(images), torch.from_numpy(labels))
