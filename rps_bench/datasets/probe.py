"""Normalised images, and the probe: the batch that methods may look at before training."""

from functools import cache

import torch

from rps_bench.core.errors import UserError
from rps_bench.core.seeds import named_generator
from rps_bench.datasets.base import Dataset


def normalise(
    images: torch.Tensor,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Scale pixels to [0, 1], subtract the mean and divide by the standard deviation per channel.

    Args:
        images: (B, 3, H, W) uint8, on any device.
        mean: Per channel, of pixels in [0, 1].
        std: Per channel.
        dtype: Of the result and of the arithmetic.

    Returns:
        (B, 3, H, W) on the same device.
    """
    centre, spread = (_channels(values, dtype, images.device) for values in (mean, std))
    return (images.to(dtype) / 255 - centre) / spread


@cache
def _channels(
    values: tuple[float, float, float], dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """(1, 3, 1, 1), copied to the device once: a copy in every step would make the host wait."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device).view(1, 3, 1, 1)


def probe_batch(
    dataset: Dataset, seed: int, per_class: int = 10
) -> tuple[torch.Tensor, torch.Tensor]:
    """A class-balanced batch of training images, not augmented, in shuffled order.

    Ten images per class follow SNIP, GraSP and SynFlow's code. Each class draws from its own
    generator and the order from another one, all named after the probe. In a dataset made
    imbalanced on request, a class with fewer images contributes all of them.

    Args:
        dataset: The source of training images.
        seed: The run's seed.
        per_class: Images of each class, at least 1.

    Returns:
        Normalised images (B, 3, H, W) float32 and labels (B,) int64, with B at most per_class *
        num_classes.

    Raises:
        UserError: A class has fewer than ``per_class`` images, and not because of ``imbalance``.
    """
    if per_class < 1:
        raise UserError(f"probe images per class: expected at least 1, found {per_class}")
    chosen = []
    for label in range(dataset.num_classes):
        rows = torch.nonzero(dataset.train.labels == label).flatten()
        if len(rows) < per_class and dataset.imbalance is None:
            raise UserError(
                f"{dataset.name}: the probe needs {per_class} training images of each class, "
                f"class {label} has {len(rows)}"
            )
        order = torch.randperm(len(rows), generator=named_generator(seed, "probe", label))
        chosen.append(rows[order[:per_class]])
    rows = torch.cat(chosen)
    order = torch.randperm(len(rows), generator=named_generator(seed, "probe", "order"))
    rows = rows[order]
    images = normalise(dataset.train.images[rows], dataset.mean, dataset.std)
    return images, dataset.train.labels[rows]
