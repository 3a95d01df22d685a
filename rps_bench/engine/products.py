"""Convolutions 3x3, stride 1, padding 1, made of PyTorch's own products: no compiler needed.

Two ways: Winograd's transforms as products with small matrices, and the gradient by weight from
columns.
"""

from functools import cache

import torch

from rps_bench.engine.threads import multiply

# Lavin and Gray 2016, for the points 0, 1, -1, 2, -2 and infinity; the last two are those of
# F(3x3, 4x4), which gives gradients by weight.
_INPUT = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
_WEIGHT = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
_OUTPUT = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
_GRADIENT = [
    [1 / 4, 0, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6, 1 / 6],
    [1 / 24, 1 / 12, 1 / 6, 1 / 3],
    [1 / 24, -1 / 12, 1 / 6, -1 / 3],
    [0, 0, 0, 1],
]
_SUM = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 1]]
_MATRICES = {
    "input": _INPUT,
    "weight": _WEIGHT,
    "output": _OUTPUT,
    "gradient": _GRADIENT,
    "sum": _SUM,
}


@cache
def _square(name: str) -> torch.Tensor:
    """A transform of rows and columns at once, as one matrix."""
    with torch.inference_mode(False):
        matrix = torch.tensor(_MATRICES[name], dtype=torch.float64, device="cpu")
        return torch.kron(matrix, matrix).float().contiguous()


def _pad(images: torch.Tensor, before: int, height: int, width: int) -> torch.Tensor:
    """(N, C, H, W) -> contiguous (N, height, width, C), with zeros around."""
    num, channels, *sizes = images.shape
    padded = images.new_zeros((num, height, width, channels))
    inside = padded[:, before : before + sizes[0], before : before + sizes[1]]
    inside.copy_(images.permute(0, 2, 3, 1))
    return padded


class ProductTransforms:
    """Winograd's transforms (see ``winograd.Transforms``) as products; any channels and sizes."""

    def weights(self, weight: torch.Tensor, is_flipped: bool) -> torch.Tensor:
        """(K, C, 3, 3) -> (36, C, K), or flipped (36, K, C)."""
        taps = weight.flip(2, 3).permute(2, 3, 0, 1) if is_flipped else weight.permute(2, 3, 1, 0)
        return (_square("weight") @ taps.reshape(9, -1)).view(36, *taps.shape[2:])

    def inputs(self, images: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (36, tiles, C)."""
        num, channels, height, width = images.shape
        down, across = -(-height // 4), -(-width // 4)
        padded = _pad(images, 1, 4 * down + 2, 4 * across + 2)
        of_image, of_row, of_pixel, _ = padded.stride()
        patches = padded.as_strided(
            (6, 6, num, down, across, channels),
            (of_row, of_pixel, of_image, 4 * of_row, 4 * of_pixel, 1),
        )
        return (_square("input") @ patches.reshape(36, -1)).view(36, -1, channels)

    def gradients(self, gradient: torch.Tensor) -> torch.Tensor:
        """(N, K, H, W) -> (36, tiles, K)."""
        num, channels, height, width = gradient.shape
        down, across = -(-height // 4), -(-width // 4)
        padded = _pad(gradient, 0, 4 * down, 4 * across)
        tiles = padded.view(num, down, 4, across, 4, channels).permute(2, 4, 0, 1, 3, 5)
        return (_square("gradient") @ tiles.reshape(16, -1)).view(36, -1, channels)

    def outputs(
        self, sums: torch.Tensor, shape: torch.Size, bias: torch.Tensor | None
    ) -> torch.Tensor:
        """(36, tiles, K) -> (N, K, H, W)."""
        num, _, height, width = shape
        down, across, channels = -(-height // 4), -(-width // 4), sums.shape[2]
        tiles = (_square("output") @ sums.view(36, -1)).view(4, 4, num, down, across, channels)
        whole = tiles.permute(2, 3, 0, 4, 1, 5).reshape(num, 4 * down, 4 * across, channels)
        pixels = whole[:, :height, :width].contiguous()
        if bias is not None:
            pixels += bias
        return pixels.permute(0, 3, 1, 2)

    def weight_gradient(self, sums: torch.Tensor) -> torch.Tensor:
        """(36, C, K) -> (K, C, 3, 3)."""
        channels, outs = sums.shape[1:]
        taps = (_square("sum") @ sums.view(36, -1)).view(3, 3, channels, outs)
        return taps.permute(3, 2, 0, 1).contiguous()


def by_weight_columns(images: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """The gradient by the weight as one product of the images' columns (NHW, 9C), any dtype."""
    num, channels, height, width = images.shape
    padded = _pad(images, 1, height + 2, width + 2)
    of_image, of_row, of_pixel, _ = padded.stride()
    windows = padded.as_strided(
        (num, height, width, 3, 3, channels), (of_image, of_row, of_pixel, of_row, of_pixel, 1)
    )
    columns = windows.reshape(num * height * width, 9 * channels)
    rows = gradient.permute(0, 2, 3, 1).reshape(num * height * width, -1)
    return multiply(rows.t(), columns).view(-1, 3, 3, channels).permute(0, 3, 1, 2).contiguous()
