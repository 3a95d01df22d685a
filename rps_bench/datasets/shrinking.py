"""Smaller images: each pixel the mean over a square of the larger image's.

Means are exact and rounded half to even: rounding half up would brighten every image, as half of
four pixels' means end in .25, .5 or .75. Integers are summed, and a quotient of two small ones that
ends in .5 is exact, so every machine gets the same bytes.
"""

from dataclasses import replace

import torch

from rps_bench.datasets.base import Dataset, Split

_CHUNK = 256  # images: their sums stay in a processor's cache


def shrink(dataset: Dataset, size: int) -> Dataset:
    """The dataset with images of ``size`` x ``size`` pixels, a whole part of their own size.

    All else stays, the constants of normalisation too. The digits, which are 8x8 images with
    repeated pixels, become what enlarging them to ``size`` would give.
    """
    return replace(
        dataset,
        info=replace(dataset.info, image_size=size),
        train=_shrink_split(dataset.train, size),
        test=_shrink_split(dataset.test, size),
    )


def shrink_images(images: torch.Tensor, size: int) -> torch.Tensor:
    """Average (N, C, H, H) uint8 images down to (N, C, size, size); ``size`` divides H."""
    side, rest = divmod(images.shape[-1], size)
    assert rest == 0
    small = torch.empty((*images.shape[:2], size, size), dtype=torch.uint8)
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        squares = chunk.reshape(*chunk.shape[:2], size, side, size, side)
        rows = squares.sum(3, dtype=torch.int32)  # (n, C, size, size, side)
        totals = rows.sum(4, dtype=torch.int32)  # (n, C, size, size)
        small[start : start + _CHUNK] = (totals.double() / side**2).round().to(torch.uint8)
    return small


def _shrink_split(split: Split, size: int) -> Split:
    return Split(shrink_images(split.images, size), split.labels)
