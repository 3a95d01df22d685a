"""The digits: split, scaling and constants never change."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

from rps_bench.datasets import DATASETS, load_dataset
from rps_bench.datasets.embedded import choose_test_rows, enlarge

FIRST_TEST_ROWS = [0, 1, 4, 5, 8]
SPLIT_SHA256 = "a411026a13522ec4757c23c33de0b67ae27e41ede05001c662e5a15707ea55c7"


def test_split_is_whole_and_stratified() -> None:
    dataset = load_dataset("digits")
    assert (len(dataset.train), len(dataset.test)) == (1437, 360)
    assert not dataset.is_partial
    counts = np.bincount(load_digits().target)
    num_test = torch.bincount(dataset.test.labels).numpy()
    assert np.all(np.abs(num_test - counts * 360 / 1797) < 1)
    assert np.array_equal(num_test + torch.bincount(dataset.train.labels).numpy(), counts)
    both = torch.cat([dataset.train.images, dataset.test.images]).flatten(1)
    assert sorted(map(bytes, both.numpy())) == sorted(
        map(bytes, enlarge(load_digits().images).reshape(1797, -1))
    )


def test_images_are_those_of_scikit_learn() -> None:
    both, bunch = load_dataset("digits"), load_digits()
    is_test = choose_test_rows(bunch.target, 360)
    for split, rows in ((both.train, ~is_test), (both.test, is_test)):
        assert np.array_equal(split.images.numpy(), enlarge(bunch.images[rows]))
        assert np.array_equal(split.labels.numpy(), bunch.target[rows])


def test_split_is_the_same_for_ever() -> None:
    is_test = choose_test_rows(load_digits().target, 360)
    assert np.flatnonzero(is_test)[:5].tolist() == FIRST_TEST_ROWS
    assert hashlib.sha256(np.packbits(is_test).tobytes()).hexdigest() == SPLIT_SHA256


def test_shares_by_largest_remainder() -> None:
    labels = np.array([0] * 5 + [1] * 3 + [2] * 2)  # shares of 4: 2, 1.2, 0.8
    is_test = choose_test_rows(labels, 4)
    assert np.bincount(labels[is_test]).tolist() == [2, 1, 1]


def test_shapes_types_and_range() -> None:
    dataset = load_dataset("digits")
    for split in (dataset.train, dataset.test):
        assert split.images.shape == (len(split), 3, 32, 32)
        assert split.images.dtype == torch.uint8
        assert split.labels.dtype == torch.int64
    assert (int(dataset.train.images.min()), int(dataset.train.images.max())) == (0, 255)
    assert dataset.flip is False


def test_enlarge_by_hand() -> None:
    small = np.zeros((1, 8, 8))
    small[0, 0] = [0, 1, 8, 16, 0, 0, 0, 0]  # 255/16 = 15.9, 127.5 rounds up
    large = enlarge(small)
    assert large.shape == (1, 3, 32, 32)
    for channel in range(3):
        assert large[0, channel, 3, :16].tolist() == [0] * 4 + [16] * 4 + [128] * 4 + [255] * 4
        assert not large[0, channel, 4].any()


def test_constants_are_those_of_the_training_images() -> None:
    pixels = load_dataset("digits").train.images.double() / 255
    info = DATASETS["digits"]
    assert info.mean == (round(pixels.mean().item(), 3),) * 3
    assert info.std == (round(pixels.std(correction=0).item(), 3),) * 3


def test_nothing_is_written(tmp_path: Path) -> None:
    load_dataset("digits", root=tmp_path / "data")
    assert list(tmp_path.iterdir()) == []
