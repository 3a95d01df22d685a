"""Which way each pass of a 3x3 convolution goes, by the set of kernels and the shapes.

The borders are measured ones: one core of a Xeon with AVX-512 and AMX, batches of 128.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from rps_bench.engine import products, whole, winograd
from rps_bench.engine.native import GRAIN, loaded_native

Forward = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]
Backward = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

FEWEST_CHANNELS = 128  # below, products with small matrices cost more than they save
MOST_IN_CACHE = 128 * 128  # pairs of channels: with more, PyTorch's products are faster
FEWEST_OF_WHOLE = 32  # channels of images that are taken as vectors
FEWEST_OF_COLUMNS = 64  # channels for gradients by weight from columns, in bfloat16


@dataclass(frozen=True)
class Passes:
    """The three passes of a convolution; None: PyTorch's own, in any number of threads.

    Attributes:
        forward: Of images (N, C, H, W), weight (K, C, 3, 3) and bias (K,) or None.
        by_data: Of the gradient (N, K, H, W) and the weight.
        by_weight: Of the images and the gradient.
        shares_sums: Whether by_weight gives the same bits in any number of threads, and so needs no
            other pass beside it to keep them busy.
    """

    forward: Forward | None
    by_data: Backward | None
    by_weight: Backward
    shares_sums: bool = False


def _of_whole(taps: whole.Taps) -> Passes:
    """Passes of images as vectors."""
    return Passes(
        partial(whole.convolve, taps), partial(whole.by_data, taps), partial(whole.by_weight, taps)
    )


COLUMNS = Passes(None, None, products.by_weight_columns)


def _around_products(transforms: winograd.Transforms) -> Passes:
    """Winograd's passes with the products between them left to PyTorch."""
    return Passes(
        partial(winograd.convolve, transforms),
        partial(winograd.by_data, transforms),
        partial(winograd.by_weight, transforms),
        shares_sums=True,
    )


WHOLE = _of_whole(whole.PlainTaps())
PRODUCTS = _around_products(products.ProductTransforms())


def find_passes(
    is_native: bool, dtype: torch.dtype, ins: int, outs: int, height: int, width: int
) -> Passes | None:
    """The passes for these shapes; None where PyTorch's own are the best.

    Args:
        is_native: Whether the native kernels may be used.
        dtype: Of images and weight.
        ins: C.
        outs: K.
        height: H of the images.
        width: W of the images.
    """
    fewest = min(ins, outs)
    if max(height, width) <= 2:
        if fewest < FEWEST_OF_WHOLE:
            return None
        return _of_whole(loaded_native()) if is_native else WHOLE
    if dtype != torch.float32:
        return COLUMNS if fewest >= FEWEST_OF_COLUMNS and height * width <= 16 else None
    if not _fits_tiles(height, width):
        return None
    if is_native and ins % GRAIN == 0 and outs % GRAIN == 0:
        native = loaded_native()
        if ins * outs < MOST_IN_CACHE:
            return Passes(native.convolve, native.by_data, native.by_weight, shares_sums=True)
        return _around_products(native)
    return PRODUCTS if fewest >= FEWEST_CHANNELS else None


def _fits_tiles(height: int, width: int) -> bool:
    """Whether at least half of what tiles of 4x4 compute lies in the image."""
    return 2 * height * width >= 16 * -(-height // 4) * -(-width // 4)
