"""How a network's compressible weights lie in one flat vector w of n numbers."""

import math
from itertools import accumulate, pairwise

import torch
from torch import nn

from rps_bench.errors import UserError
from rps_bench.models.initialisation import COMPRESSIBLE_TYPES, theoretical_init_std

Layout = tuple[tuple[str, tuple[int, ...]], ...]


def compressible_layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Every convolution and linear layer with its qualified name, in module order.

    Raises:
        UserError: There is none.
    """
    layers: list[tuple[str, nn.Module]] = [
        (name, layer)
        for name, layer in model.named_modules()
        if isinstance(layer, COMPRESSIBLE_TYPES)
    ]
    if not layers:
        raise UserError("the network has no convolution or linear layer to compress")
    return layers


def weight_of(layer: nn.Module) -> torch.Tensor:
    """The layer's weight tensor."""
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    return weight


def layout_of(model: nn.Module) -> Layout:
    """((qualified name of the weight, its shape), ...) in flat order."""
    return tuple(
        (f"{name}.weight" if name else "weight", tuple(weight_of(layer).shape))
        for name, layer in compressible_layers(model)
    )


def init_stds_of(model: nn.Module) -> tuple[float, ...]:
    """The theoretical std of each compressible layer's dense init, in flat order."""
    return tuple(theoretical_init_std(layer) for _, layer in compressible_layers(model))


def layer_sizes(layout: Layout) -> tuple[int, ...]:
    """Number of weights of each layer, in flat order."""
    return tuple(math.prod(shape) for _, shape in layout)


def layer_ranges(layout: Layout) -> tuple[tuple[int, int], ...]:
    """Where each layer's weights start and stop in the flat vector, in flat order."""
    return tuple(pairwise(accumulate(layer_sizes(layout), initial=0)))


def num_weights(layout: Layout) -> int:
    """n, the length of the flat vector."""
    return sum(layer_sizes(layout))


def count_parameters(model: nn.Module) -> int:
    """Numbers in the unique parameters that a model holds, biases and BatchNorm included."""
    return sum(parameter.numel() for parameter in model.parameters())


def flatten_weights(model: nn.Module) -> torch.Tensor:
    """A copy of the model's weights as the flat vector w, (n,)."""
    weights = [weight_of(layer).detach().reshape(-1) for _, layer in compressible_layers(model)]
    return torch.cat(weights)


def split_weights(flat: torch.Tensor, layout: Layout) -> list[torch.Tensor]:
    """Views of the flat vector w (n,) in the layers' shapes, in flat order."""
    pieces = flat.split_with_sizes(list(layer_sizes(layout)))
    return [piece.view(shape) for piece, (_, shape) in zip(pieces, layout, strict=True)]
