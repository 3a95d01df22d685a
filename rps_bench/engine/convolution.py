"""A 3x3 convolution whose passes go the ways of ``passes.py``, for autograd."""

from typing import Any

import torch
import torch.nn.functional as F

from rps_bench.engine.eligible import channels_last, is_ordinary
from rps_bench.engine.passes import Passes

_PLAIN = ((1, 1), (1, 1), (1, 1), False, (0, 0), 1)  # stride, padding, dilation, not transposed


class Convolution(torch.autograd.Function):
    """``F.conv2d(images, weight, bias, padding=1)``."""

    @staticmethod
    def forward(
        ctx: Any,
        images: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        passes: Passes,
    ) -> torch.Tensor:
        """The convolution."""
        ctx.save_for_backward(images, weight)
        ctx.passes, ctx.has_bias = passes, bias is not None
        if passes.forward is None:
            return F.conv2d(images, weight, bias, padding=1)
        row = None if bias is None else bias.contiguous()
        return passes.forward(channels_last(images), weight.contiguous(), row)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        """The gradients; by PyTorch's own passes where they are differentiated again, or mapped."""
        images, weight = ctx.saved_tensors
        wants_images, wants_weight, wants_bias, _ = ctx.needs_input_grad
        if torch.is_grad_enabled() or not is_ordinary(gradient, images.dtype):
            wanted = [wants_images, wants_weight, wants_bias]
            return *_plain_backward(gradient, images, weight, wanted), None
        gradient = channels_last(gradient)
        by_bias = gradient.sum((0, 2, 3)) if wants_bias else None
        by_data, by_weight = ctx.passes.by_data, ctx.passes.by_weight
        rest = [wants_images and by_data is None, wants_weight and by_weight is None, False]
        own = _plain_backward(gradient, images, weight, rest) if any(rest) else [None] * 3
        if wants_images and by_data is not None:
            own[0] = by_data(gradient, weight.contiguous())
        if wants_weight and by_weight is not None:
            own[1] = by_weight(channels_last(images), gradient)
        return own[0], own[1], by_bias, None


def _plain_backward(
    gradient: torch.Tensor, images: torch.Tensor, weight: torch.Tensor, wanted: list[bool]
) -> list[torch.Tensor | None]:
    """PyTorch's own gradients by images, weight and bias, None for one that is not wanted."""
    found = torch.ops.aten.convolution_backward(
        gradient, images, weight, [weight.shape[0]], *_PLAIN, wanted
    )
    return list(found)
