"""A 3x3 convolution whose passes go the ways of ``passes.py``, for autograd."""

from typing import Any, cast

import torch
import torch.nn.functional as F

from rps_bench.engine.eligible import channels_last, is_ordinary
from rps_bench.engine.passes import Passes
from rps_bench.engine.threads import side_by_side, spread_out

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
            with spread_out():
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
        passes, gradient = ctx.passes, channels_last(gradient)

        def by_data() -> torch.Tensor | None:
            if not wants_images:
                return None
            if passes.by_data is not None:
                return cast(torch.Tensor, passes.by_data(gradient, weight.contiguous()))
            with spread_out():
                return _plain_backward(gradient, images, weight, [True, False, False])[0]

        def by_parameters() -> tuple[torch.Tensor | None, torch.Tensor | None]:
            bias = gradient.sum((0, 2, 3)) if wants_bias else None
            own = passes.by_weight(channels_last(images), gradient) if wants_weight else None
            return own, bias

        if passes.shares_sums:
            return by_data(), *by_parameters(), None
        own, by_images = side_by_side(by_parameters, by_data)
        return by_images, *own, None


def _plain_backward(
    gradient: torch.Tensor, images: torch.Tensor, weight: torch.Tensor, wanted: list[bool]
) -> list[torch.Tensor | None]:
    """PyTorch's own gradients by images, weight and bias, None for one that is not wanted."""
    found = torch.ops.aten.convolution_backward(
        gradient, images, weight, [weight.shape[0]], *_PLAIN, wanted
    )
    return list(found)
