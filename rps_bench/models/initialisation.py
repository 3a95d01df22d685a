"""Normal weights, and the theoretical standard deviation that a layer's weights start with.

Source of Kaiming's recipe: He et al. 2015 (fan-in, gain sqrt 2), for networks of convolutions and
ReLU.
"""

import math

import torch
from torch import nn

CompressibleLayer = nn.Conv2d | nn.Linear
COMPRESSIBLE_TYPES = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


def fan_in(weight: torch.Tensor) -> int:
    """Inputs that one output of the layer sums over; ``weight`` is (out, in, *kernel)."""
    return weight[0].numel()


def initialise_kaiming(model: nn.Module, generator: torch.Generator | None) -> None:
    """Draw every convolution and linear weight from N(0, 2 / fan_in), biases 0, in module order.

    Each layer keeps the theoretical std as ``layer.init_std`` for methods that scale by it.
    """
    _initialise(model, generator, 2.0)


def initialise_lecun(model: nn.Module, generator: torch.Generator | None) -> None:
    """Draw in the same way from N(0, 1 / fan_in), for layers that no ReLU follows.

    Source: LeCun et al. 1998, Efficient BackProp.
    """
    _initialise(model, generator, 1.0)


def _initialise(model: nn.Module, generator: torch.Generator | None, gain: float) -> None:
    """Draw weights of variance ``gain / fan_in``."""
    for layer in model.modules():
        if isinstance(layer, COMPRESSIBLE_TYPES):
            std = math.sqrt(gain / fan_in(layer.weight))
            if not layer.weight.is_meta:  # there PyTorch would import 900 modules to draw nothing
                nn.init.normal_(layer.weight, 0.0, std, generator=generator)
            layer.init_std = std  # type: ignore[assignment]
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def theoretical_init_std(layer: nn.Module) -> float:
    """The std that the layer's weights were drawn with.

    A layer without an ``init_std`` of its own is taken to have PyTorch's default init,
    U(-1/sqrt(fan_in), 1/sqrt(fan_in)), whose std is 1 / sqrt(3 fan_in).
    """
    declared = getattr(layer, "init_std", None)
    if declared is not None:
        return float(declared)
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    return 1.0 / math.sqrt(3.0 * fan_in(weight))
