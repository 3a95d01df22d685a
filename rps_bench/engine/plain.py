"""PyTorch's own convolution, in a step whose bits do not depend on the number of threads.

Forward and back to the images each thread computes numbers of its own. The gradient by weight is a
sum over all pixels, which PyTorch divides between its threads: so it is left to one, while the
others go back to the images.
"""

from typing import Any

import torch
import torch.nn.functional as F

from rps_bench.engine.eligible import is_ordinary
from rps_bench.engine.threads import side_by_side, spread_out

Geometry = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int]  # as F.conv2d's order


class PlainConvolution(torch.autograd.Function):
    """``F.conv2d(images, weight, bias, *geometry)``."""

    @staticmethod
    def forward(
        ctx: Any,
        images: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        geometry: Geometry,
    ) -> torch.Tensor:
        """The convolution."""
        ctx.save_for_backward(images, weight)
        ctx.geometry = geometry
        with spread_out():
            return F.conv2d(images, weight, bias, *geometry)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        """The gradients by the images, the weight and the bias."""
        images, weight = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.geometry
        how = [weight.shape[0]], stride, padding, dilation, False, (0, 0), groups

        def go_back(*wanted: bool) -> tuple[torch.Tensor | None, ...]:
            if not any(wanted):
                return None, None, None
            found: tuple[torch.Tensor | None, ...] = torch.ops.aten.convolution_backward(
                gradient, images, weight, *how, wanted
            )
            return found

        def by_data() -> torch.Tensor | None:
            with spread_out():
                return go_back(ctx.needs_input_grad[0], False, False)[0]

        wanted = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled() or not is_ordinary(gradient, images.dtype):
            return *go_back(*wanted), None  # differentiated again, or mapped
        (_, *by_parameters), by_images = side_by_side(lambda: go_back(False, *wanted[1:]), by_data)
        return by_images, *by_parameters, None
