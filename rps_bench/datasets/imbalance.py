"""Imbalanced training classes that follow a power law; the test split is unchanged.

Class k keeps N (k + 1)^-a images with a = log(ratio) / log(K), so that the largest of the K classes
has `ratio` times as many images as the smallest. Long-tailed CIFAR (Cui et al. 2019) fixes the same
ratio with an exponential law, N ratio^(-k / (K - 1)), whose middle classes keep more.
"""

import math
from dataclasses import replace

import torch

from rps_bench.core.errors import UserError
from rps_bench.core.seeds import named_generator
from rps_bench.datasets.base import Dataset, Split


def class_counts(largest: int, num_classes: int, ratio: float) -> list[int]:
    """The number of images in each class: `largest` for class 0, down to `largest` / `ratio`.

    Numbers are rounded to the nearest integer, and no class is left empty.
    """
    exponent = math.log(ratio) / math.log(num_classes)
    return [max(1, round(largest * (rank + 1) ** -exponent)) for rank in range(num_classes)]


def make_imbalanced(dataset: Dataset, ratio: float, seed: int) -> Dataset:
    """The dataset with training classes whose sizes follow a power law.

    Classes are ranked by their index, as in long-tailed CIFAR, so that every seed has the same rare
    classes. The seed decides which images stay, and a higher ratio keeps a subset of the images
    that a lower one keeps. The largest class has as many images as the smallest one of `dataset`,
    so that every class has enough. The order of the images stays.

    Args:
        dataset: Without a validation split, or with one that took evenly from the classes: else
            their sizes would depend on the seed.
        ratio: Images of the largest class over those of the smallest, above 1.
        seed: The run's seed.

    Raises:
        UserError: A class has no training images.
    """
    assert ratio > 1
    train = dataset.train
    rows = [torch.nonzero(train.labels == label).flatten() for label in range(dataset.num_classes)]
    largest = min(len(own) for own in rows)
    if largest == 0:
        raise UserError(f"{dataset.name}: dataset.imbalance needs training images of every class")
    kept = []
    for label, count in enumerate(class_counts(largest, dataset.num_classes, ratio)):
        order = torch.randperm(
            len(rows[label]), generator=named_generator(seed, "imbalance", label)
        )
        kept.append(rows[label][order[:count]])
    chosen = torch.cat(kept).sort().values  # (N,)
    split = Split(train.images[chosen], train.labels[chosen])
    return replace(dataset, train=split, imbalance=ratio)
