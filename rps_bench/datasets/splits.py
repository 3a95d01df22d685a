"""A validation split from the training images, for tuning that must not use the test set."""

import torch

from rps_bench.core.errors import UserError
from rps_bench.core.seeds import named_generator
from rps_bench.datasets.base import Dataset, Split


def hold_out(dataset: Dataset, num_images: int, seed: int) -> Dataset:
    """The dataset with some training images held out: they become ``test``, the rest ``train``.

    The images held out are the last ``num_images`` of a seeded shuffle of ``train``; the official
    test images are not part of the result.

    Args:
        dataset: An official dataset.
        num_images: How many to hold out, in [1, len(train) - 1].
        seed: The run's seed.

    Raises:
        UserError: ``num_images`` is out of range, or the dataset has a validation split already.
    """
    num_train = len(dataset.train)
    if not 1 <= num_images < num_train:
        raise UserError(
            f"validation images: expected 1 to {num_train - 1} of {dataset.name}'s {num_train} "
            f"training images, found {num_images}"
        )
    if dataset.num_held_out:
        raise UserError(f"{dataset.name}: a validation split was taken already")
    order = torch.randperm(num_train, generator=named_generator(seed, "hold_out"))  # (N,)
    return Dataset(
        info=dataset.info,
        train=_take(dataset.train, order[:-num_images]),
        test=_take(dataset.train, order[-num_images:]),
        num_held_out=num_images,
    )


def hold_out_evenly(dataset: Dataset, num_images: int, seed: int) -> Dataset:
    """As ``hold_out``, but ``num_images // num_classes`` training images of each class.

    The accuracy on these is that of the mean class. It is meant for training images that are then
    made imbalanced: by images of the same imbalance whatever is good for the frequent classes would
    be chosen, and the test images that follow are balanced. ImageNet-LT (Liu et al. 2019) has such
    a validation split, too. Each class loses as many images under every seed.

    Raises:
        UserError: Too few for one image of each class, a class has no image left to train on, or
            the dataset has a validation split already.
    """
    per_class = num_images // dataset.num_classes
    if per_class < 1:
        raise UserError(
            f"validation images: expected at least {dataset.num_classes}, one for each class of "
            f"{dataset.name}, found {num_images}"
        )
    if dataset.num_held_out:
        raise UserError(f"{dataset.name}: a validation split was taken already")
    labels = dataset.train.labels
    is_held_out = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(dataset.num_classes):
        own = torch.nonzero(labels == label).flatten()
        if len(own) <= per_class:
            raise UserError(
                f"validation images: {num_images} are {per_class} of each class, and class {label} "
                f"of {dataset.name} has {len(own)} training images"
            )
        order = torch.randperm(len(own), generator=named_generator(seed, "hold_out", label))
        is_held_out[own[order[:per_class]]] = True
    return Dataset(
        info=dataset.info,
        train=_take(dataset.train, torch.nonzero(~is_held_out).flatten()),
        test=_take(dataset.train, torch.nonzero(is_held_out).flatten()),
        num_held_out=per_class * dataset.num_classes,
    )


def _take(split: Split, rows: torch.Tensor) -> Split:
    return Split(split.images[rows], split.labels[rows])
