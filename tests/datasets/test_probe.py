"""The probe and normalisation."""

import pytest
import torch

from rps_bench.core.errors import UserError
from rps_bench.datasets import DATASETS, load_dataset
from rps_bench.datasets.base import Dataset, Split
from rps_bench.datasets.probe import normalise, probe_batch


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


def test_normalise_by_hand() -> None:
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    result = normalise(images, (0.0, 0.1, 0.5), (1.0, 0.5, 0.25))
    assert result.dtype == torch.float32
    assert result.shape == (1, 3, 1, 1)
    torch.testing.assert_close(result.flatten(), torch.tensor([0.0, 0.2, 2.0]))


def test_normalise_in_another_precision() -> None:
    images = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    result = normalise(images, (0.1, 0.1, 0.1), (0.3, 0.3, 0.3), dtype=torch.float64)
    assert result.dtype == torch.float64
    assert abs(result[0, 0, 0, 0].item() - (100 / 255 - 0.1) / 0.3) < 1e-15


def test_normalised_training_images_are_standard(digits: Dataset) -> None:
    images = normalise(digits.train.images, digits.mean, digits.std)
    assert abs(images.mean().item()) < 0.005
    assert abs(images.std().item() - 1) < 0.005


@pytest.mark.parametrize("per_class", [1, 10])
def test_probe_is_balanced_and_from_train(digits: Dataset, per_class: int) -> None:
    images, labels = probe_batch(digits, seed=0, per_class=per_class)
    assert images.shape == (10 * per_class, 3, 32, 32)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert labels.bincount().tolist() == [per_class] * 10
    train = normalise(digits.train.images, digits.mean, digits.std)
    label_of = {
        bytes(image.numpy().tobytes()): label
        for image, label in zip(train, digits.train.labels.tolist(), strict=True)
    }
    keys = [image.numpy().tobytes() for image in images]
    assert [label_of[key] for key in keys] == labels.tolist()
    assert len(set(keys)) == len(keys)


def test_probe_is_shuffled_and_seeded(digits: Dataset) -> None:
    images, labels = probe_batch(digits, seed=3)
    assert labels.tolist() != sorted(labels.tolist())
    again, labels_again = probe_batch(digits, seed=3)
    assert torch.equal(images, again)
    assert torch.equal(labels, labels_again)
    assert not torch.equal(images, probe_batch(digits, seed=4)[0])


def test_probe_leaves_the_global_generator_alone(digits: Dataset) -> None:
    before = torch.get_rng_state()
    probe_batch(digits, seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_impossible_probes_are_refused(digits: Dataset) -> None:
    labels = torch.arange(10).repeat(2)[:-1]  # one image of class 9
    split = Split(torch.zeros(19, 3, 32, 32, dtype=torch.uint8), labels)
    small = Dataset(DATASETS["digits"], split, split)
    with pytest.raises(UserError, match="needs 2 training images of each class, class 9 has 1"):
        probe_batch(small, seed=0, per_class=2)
    with pytest.raises(UserError, match="at least 1, found 0"):
        probe_batch(digits, seed=0, per_class=0)
