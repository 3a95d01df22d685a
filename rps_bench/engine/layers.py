"""Layers of PyTorch that train by other kernels: the plain class with another ``forward``.

They have no attributes of their own, so that a layer becomes one, and plain again, by its class
alone (see ``choose.py``). What they cannot do better they leave to the plain class.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules import module as every_module

from rps_bench.engine.convolution import Convolution
from rps_bench.engine.eligible import is_ordinary, is_ordinary_pass
from rps_bench.engine.normalisation import Normalisation
from rps_bench.engine.passes import Passes, find_passes
from rps_bench.engine.plain import Geometry, PlainConvolution

DTYPES = (torch.float32, torch.bfloat16)
FEWEST_IMAGES = 16  # of a batch whose kernels of one pixel PyTorch leaves to one library


class ProductsConv2d(nn.Conv2d):
    """A convolution that trains by ``products.py`` where it is 3x3 and that is faster."""

    is_native = False

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """As of the plain layer."""
        given = [images, self.weight] + ([] if self.bias is None else [self.bias])
        if not self.training or not is_ordinary_pass() or images.dim() != 4:
            return super().forward(images)
        if not all(is_ordinary(tensor, *DTYPES) for tensor in given):
            return super().forward(images)
        dtype = _dtype_of_pass(given)
        if dtype is None or images.shape[1] != self.in_channels:
            return super().forward(images)
        passes = self._find_passes(dtype, *images.shape[2:])
        geometry = _find_geometry(self, images)
        if passes is None and geometry is None:
            return super().forward(images)
        with torch.autocast("cpu", enabled=False):
            own, weight, *rest = (tensor.to(dtype) for tensor in given)
            bias = rest[0] if rest else None
            result: torch.Tensor = (
                PlainConvolution.apply(own, weight, bias, geometry)
                if passes is None
                else Convolution.apply(own, weight, bias, passes)
            )
        return result

    def _find_passes(self, dtype: torch.dtype, height: int, width: int) -> Passes | None:
        if not _is_three_by_three(self):
            return None
        shape = self.in_channels, self.out_channels, height, width
        return find_passes(self.is_native, dtype, *shape)


class NativeConv2d(ProductsConv2d):
    """A convolution that trains by the native kernels, too."""

    is_native = True


class NativeBatchNorm2d(nn.BatchNorm2d):
    """A BatchNorm that trains by the native kernels, on its own or with what follows it."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """As of the plain layer."""
        if not self.is_fast(images):
            return super().forward(images)
        return self.normalise(images, None, has_relu=False)

    def is_fast(self, images: torch.Tensor, other: torch.Tensor | None = None) -> bool:
        """Whether this pass is one that the native kernels know."""
        if not self.training or not is_ordinary_pass() or self.momentum is None:
            return False
        own = self.weight, self.bias, self.running_mean, self.running_var
        if any(t is None or not is_ordinary(t, torch.float32) or t.stride(0) != 1 for t in own):
            return False
        if not is_ordinary(images, *DTYPES) or images.dim() != 4:
            return False
        if images.shape[1] != self.num_features or images.numel() == self.num_features:
            return False  # the plain layer says what is wrong
        return other is None or (is_ordinary(other, images.dtype) and other.shape == images.shape)

    def normalise(
        self, images: torch.Tensor, other: torch.Tensor | None, has_relu: bool
    ) -> torch.Tensor:
        """The layer, plus ``other``, cut at 0 if a ReLU follows; for a pass that ``is_fast``."""
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        result: torch.Tensor = Normalisation.apply(
            images, other, self.weight, self.bias, self, has_relu
        )
        return result


class FusedSequential(nn.Sequential):
    """Layers one after the other, of which a BatchNorm and the ReLU behind it are one pass."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """As of the plain layers."""
        if not is_ordinary_pass():
            return super().forward(images)  # type: ignore[no-any-return, no-untyped-call]
        layers = list(self)
        position = 0
        while position < len(layers):
            layer, *behind = layers[position : position + 2]
            is_pair = bool(behind) and type(behind[0]) is nn.ReLU and not _is_watched(behind[0])
            if is_pair and isinstance(layer, NativeBatchNorm2d):
                images, position = norm_relu(layer, images), position + 2
            else:
                images, position = layer(images), position + 1
        return images


def norm_relu(
    norm: nn.Module, images: torch.Tensor, other: torch.Tensor | None = None
) -> torch.Tensor:
    """``relu(norm(images) + other)``, in one pass where the layer trains by native kernels.

    Args:
        norm: A BatchNorm, or any other layer.
        images: Its input.
        other: Of the same shape; None for no sum.
    """
    if (
        isinstance(norm, NativeBatchNorm2d)
        and norm.is_fast(images, other)
        and not _is_watched(norm)
    ):
        return norm.normalise(images, other, has_relu=True)
    normed = norm(images)
    return F.relu(normed if other is None else normed + other)


def _is_watched(layer: nn.Module) -> bool:
    """Whether hooks want to see what goes into the layer or comes out of it."""
    return any(
        hooks
        for hooks in (
            layer._forward_hooks,
            layer._forward_pre_hooks,
            layer._backward_hooks,
            layer._backward_pre_hooks,
            every_module._global_forward_hooks,
            every_module._global_forward_pre_hooks,
            every_module._global_backward_hooks,
            every_module._global_backward_pre_hooks,
        )
    )


def _is_three_by_three(layer: nn.Conv2d) -> bool:
    return (
        layer.kernel_size == (3, 3)
        and layer.stride == (1, 1)
        and layer.padding in ((1, 1), "same")
        and layer.padding_mode == "zeros"
        and layer.dilation == (1, 1)
        and layer.groups == 1
    )


def _find_geometry(layer: nn.Conv2d, images: torch.Tensor) -> Geometry | None:
    """What PyTorch's own convolution is called with; None where it is left to one thread.

    That of few images by kernels of one pixel is done by another library in one thread than in
    several.
    """
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        return None
    if layer.kernel_size == (1, 1) and len(images) < FEWEST_IMAGES:
        return None
    return layer.stride, layer.padding, layer.dilation, layer.groups


def _dtype_of_pass(given: list[torch.Tensor]) -> torch.dtype | None:
    """What the pass computes in: autocast's choice, or the tensors' own; None for neither."""
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        return dtype if dtype in DTYPES else None
    own = {tensor.dtype for tensor in given}
    return own.pop() if len(own) == 1 else None
