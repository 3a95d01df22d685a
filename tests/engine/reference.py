"""What the engine is held against: PyTorch's own convolution and BatchNorm, in float64."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

CL = torch.channels_last


@dataclass(frozen=True)
class Convolved:
    """A convolution's inputs, and its results and gradients in float64."""

    images: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor
    gradient: torch.Tensor
    result: torch.Tensor
    by_data: torch.Tensor
    by_weight: torch.Tensor
    by_bias: torch.Tensor


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Normal numbers of a fixed seed; images are channels last."""
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    return numbers.contiguous(memory_format=CL) if len(shape) == 4 else numbers


def convolved(
    num: int, ins: int, outs: int, height: int, width: int, dtype: torch.dtype = torch.float32
) -> Convolved:
    """A random convolution of these shapes."""
    images, gradient = (
        draw(num, channels, height, width, seed=seed, dtype=dtype)
        for seed, channels in ((1, ins), (2, outs))
    )
    weight = (draw(outs, ins, 3, 3, seed=3) / (9 * ins) ** 0.5).to(dtype).contiguous()
    bias = draw(outs, seed=4, dtype=dtype)
    exact = [tensor.double().requires_grad_() for tensor in (images, weight, bias)]
    result = F.conv2d(exact[0], exact[1], exact[2], padding=1)
    gradients = torch.autograd.grad(result, exact, gradient.double())
    return Convolved(images, weight, bias, gradient, result.detach(), *gradients)


def relative_error(given: torch.Tensor, exact: torch.Tensor) -> float:
    """Of the norms of a difference and of what is right."""
    assert given.shape == exact.shape
    right = exact.detach().double()
    return float((given.detach().double() - right).norm() / right.norm())
