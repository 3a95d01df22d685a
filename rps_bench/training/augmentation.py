"""Random crop after padding by 4 and random horizontal flip, on whole batches of uint8 images.

All of an epoch's randomness is drawn at once on the CPU, so every method of one seed sees the
same images on every device, and an epoch can be drawn again without the ones before it.
"""

from dataclasses import dataclass

import torch

from rps_bench.core.seeds import named_generator

PADDING = 4  # pixels of black on every side


@dataclass(frozen=True)
class EpochPlan:
    """The order and the augmentation of one epoch's images.

    Attributes:
        order: (N,) int64, a permutation of the training images.
        shifts: (N, 2) int64 in [0, 2 * PADDING], top and left of the crop of the i-th image seen.
        flips: (N,) bool, whether the i-th image seen is flipped left to right.
    """

    order: torch.Tensor
    shifts: torch.Tensor
    flips: torch.Tensor


def plan_epoch(
    num_images: int, flip: bool, seed: int, epoch: int, device: torch.device
) -> EpochPlan:
    """Draw one epoch's order, shifts and flips (none where the dataset forbids them)."""
    order = torch.randperm(num_images, generator=named_generator(seed, "order", epoch))
    augmentation = named_generator(seed, "augmentation", epoch)
    shifts = torch.randint(0, 2 * PADDING + 1, (num_images, 2), generator=augmentation)
    flips = torch.randint(0, 2, (num_images,), generator=augmentation).bool() & flip
    return EpochPlan(order.to(device), shifts.to(device), flips.to(device))


def crop_and_flip(images: torch.Tensor, shifts: torch.Tensor, flips: torch.Tensor) -> torch.Tensor:
    """Pad, crop at the shifts and flip where told.

    Args:
        images: (B, 3, H, W) uint8.
        shifts: (B, 2) int64 in [0, 2 * PADDING].
        flips: (B,) bool.

    Returns:
        (B, 3, H, W) uint8.
    """
    batch, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, (PADDING,) * 4)
    rows = shifts[:, :1] + torch.arange(height, device=images.device)  # (B, H)
    columns = torch.arange(width, device=images.device).expand(batch, -1)
    columns = shifts[:, 1:] + torch.where(flips[:, None], width - 1 - columns, columns)  # (B, W)
    image = torch.arange(batch, device=images.device)[:, None, None]
    # Indexing around the channel axis puts it last: (B, H, W, 3).
    return padded[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
