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


def _take(split: Split, rows: torch.Tensor) -> Split:
    return Split(split.images[rows], split.labels[rows])
