"""BatchNorm of a training step, with the sum and the ReLU that follow it, for autograd."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.engine.eligible import channels_last, is_ordinary
from rps_bench.engine.native import loaded_native


class Normalisation(torch.autograd.Function):
    """``norm(images) + other``, cut at 0 where a ReLU follows; by the batch's own moments."""

    @staticmethod
    def forward(
        ctx: Any,
        images: torch.Tensor,
        other: torch.Tensor | None,
        weight: torch.Tensor,
        bias: torch.Tensor,
        norm: nn.BatchNorm2d,
        has_relu: bool,
    ) -> torch.Tensor:
        """The result; the layer's running moments are updated."""
        result, mean, inverse_std = loaded_native().normalise(
            channels_last(images), None if other is None else channels_last(other), norm, has_relu
        )
        shown = result if has_relu and other is not None else None
        ctx.save_for_backward(images, other, shown, weight, bias, mean, inverse_std)
        ctx.has_relu, ctx.eps = has_relu, norm.eps
        return result

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        """The gradients; by PyTorch's own passes where they are differentiated again, or mapped."""
        images, other, shown, weight, bias, mean, inverse_std = ctx.saved_tensors
        if torch.is_grad_enabled() or not is_ordinary(gradient, images.dtype):
            inputs = images, other, weight, bias
            return *_differentiable(gradient, inputs, ctx.needs_input_grad, ctx), None, None
        wants_images, wants_other = ctx.needs_input_grad[:2]
        gradients = loaded_native().normalise_back(
            *(
                channels_last(images),
                shown,
                channels_last(gradient),
                (weight, bias),
                (mean, inverse_std),
            ),
            *(ctx.has_relu, wants_images, wants_other),
        )
        return *gradients, None, None


def _differentiable(
    gradient: torch.Tensor, inputs: tuple[torch.Tensor | None, ...], wanted: Any, ctx: Any
) -> list[torch.Tensor | None]:
    """The gradients by the inputs, by PyTorch's own operations, in a graph if that is wanted."""
    images, other, weight, bias = inputs
    assert images is not None
    wants_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        result = F.batch_norm(images, None, None, weight, bias, True, 0.0, ctx.eps)
        if other is not None:
            result = result + other
        if ctx.has_relu:
            result = F.relu(result)
    given = zip(inputs, wanted[:4], strict=True)
    asked = [tensor for tensor, is_wanted in given if is_wanted and tensor is not None]
    found = iter(torch.autograd.grad(result, asked, gradient, create_graph=wants_graph))
    return [next(found) if is_wanted else None for is_wanted in wanted[:4]]
