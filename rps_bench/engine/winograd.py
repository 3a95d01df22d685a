"""Convolutions 3x3, stride 1, padding 1, by Winograd's F(4x4, 3x3), around products of PyTorch.

A tile of 6x6 inputs gives 4x4 outputs with 36 multiplications for a pair of channels instead of 144
(Lavin and Gray 2016, Fast algorithms for convolutional neural networks). The transforms are linear
and come from elsewhere; in between, 36 matrices (tiles, C) are multiplied by 36 matrices (C, K).

An image that no tile fits is padded with zeros. A number that is not finite reaches all outputs of
its tile, so more than it should, and every one that it should. Tests measure relative errors of
about 1e-6 to 1e-5; PyTorch's own convolutions have 1e-7 to 1e-6.
"""

from typing import Protocol

import torch

from rps_bench.engine.threads import spread_out


class Transforms(Protocol):
    """The linear maps to the 36 matrices and back."""

    def weights(self, weight: torch.Tensor, is_flipped: bool) -> torch.Tensor:
        """(K, C, 3, 3) -> (36, C, K); flipped, as the gradient by data wants it: (36, K, C)."""

    def inputs(self, images: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) channels last -> (36, tiles, C)."""

    def gradients(self, gradient: torch.Tensor) -> torch.Tensor:
        """(N, K, H, W) channels last -> (36, tiles, K)."""

    def outputs(
        self, sums: torch.Tensor, shape: torch.Size, bias: torch.Tensor | None
    ) -> torch.Tensor:
        """(36, tiles, K) -> (N, K, H, W) channels last, ``shape`` telling N, H and W."""

    def weight_gradient(self, sums: torch.Tensor) -> torch.Tensor:
        """(36, C, K) -> (K, C, 3, 3)."""


def convolve(
    transforms: Transforms, images: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """The convolution of (N, C, H, W) with (K, C, 3, 3)."""
    with spread_out():
        sums = torch.bmm(transforms.inputs(images), transforms.weights(weight, False))
        return transforms.outputs(sums, images.shape, bias)


def by_data(transforms: Transforms, gradient: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The gradient by the images, from that by the outputs (N, K, H, W)."""
    with spread_out():
        sums = torch.bmm(transforms.inputs(gradient), transforms.weights(weight, True))
        return transforms.outputs(sums, gradient.shape, None)


def by_weight(transforms: Transforms, images: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """The gradient by the weight, from the images and the gradient by the outputs."""
    with spread_out():
        seen = transforms.inputs(images).transpose(1, 2)
        return transforms.weight_gradient(torch.bmm(seen, transforms.gradients(gradient)))
