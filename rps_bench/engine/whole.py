"""Convolutions 3x3, padding 1, of images of at most 2x2 pixels, as one product.

In so small an image every pixel sees every other, by one tap for each pair. So a convolution takes
a whole image as a vector to a whole image, by a matrix (pixels K, pixels C) of which every entry is
a weight. There are no zeros in it, and PyTorch's products run at twice the rate of its convolutions
there or more.
"""

from functools import cache
from typing import Protocol

import torch

from rps_bench.engine.threads import multiply


class Taps(Protocol):
    """The way from weights to the matrix, and that of sums back."""

    def spread_taps(self, weight: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """(K, C, 3, 3) -> (pixels, K, pixels, C): by output and input pixel."""

    def gather_taps(self, sums: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """The transpose of ``spread_taps``, of its own dtype, with sums in float32."""


def convolve(
    taps: Taps, images: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """The convolution of (N, C, H, W) channels last with (K, C, 3, 3)."""
    height, width = images.shape[2:]
    rows = multiply(_flat(images), _matrix(taps, weight, height, width).t())
    if bias is not None:
        rows += bias.repeat(height * width)
    return _unflat(rows, height, width)


def by_data(taps: Taps, gradient: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The gradient by the images."""
    height, width = gradient.shape[2:]
    rows = multiply(_flat(gradient), _matrix(taps, weight, height, width))
    return _unflat(rows, height, width)


def by_weight(taps: Taps, images: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """The gradient by the weight."""
    height, width = images.shape[2:]
    pixels = height * width
    sums = multiply(_flat(gradient).t(), _flat(images))
    return taps.gather_taps(sums.view(pixels, -1, pixels, images.shape[1]), height, width)


def _matrix(taps: Taps, weight: torch.Tensor, height: int, width: int) -> torch.Tensor:
    outs, channels = weight.shape[:2]
    pixels = height * width
    return taps.spread_taps(weight, height, width).view(pixels * outs, pixels * channels)


def _flat(images: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) channels last -> (N, HWC), a view."""
    return images.permute(0, 2, 3, 1).reshape(len(images), -1)


def _unflat(rows: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(N, HWC) -> (N, C, H, W) channels last, a view."""
    return rows.view(len(rows), height, width, -1).permute(0, 3, 1, 2)


class PlainTaps:
    """``Taps`` by PyTorch's own operations; any floating dtype."""

    def spread_taps(self, weight: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """As of ``Taps``."""
        outs, channels = weight.shape[:2]
        indices = _tap_indices(height, width)
        taps = weight.view(outs, channels, 9).transpose(1, 2).contiguous()
        matrix = weight.new_empty(len(indices), outs, len(indices), channels)
        for pixel, own in enumerate(indices):
            torch.index_select(taps, 1, own, out=matrix[pixel])
        return matrix

    def gather_taps(self, sums: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """As of ``Taps``."""
        outs, channels = sums.shape[1], sums.shape[3]
        taps = torch.zeros(outs, 9, channels, dtype=torch.float32, device="cpu")
        for out_pixel, row in enumerate(_tap_indices(height, width).tolist()):
            for in_pixel, tap in enumerate(row):
                taps[:, tap] += sums[out_pixel, :, in_pixel]
        return taps.to(sums.dtype).transpose(1, 2).reshape(outs, channels, 3, 3).contiguous()


@cache
def _tap_indices(height: int, width: int) -> torch.Tensor:
    """Which of the 9 taps leads to the one pixel (row) from the other (column)."""
    pixels = [(row, column) for row in range(height) for column in range(width)]
    taps = [[(i - y + 1) * 3 + (j - x + 1) for i, j in pixels] for y, x in pixels]
    with torch.inference_mode(False):
        return torch.tensor(taps, device="cpu")
