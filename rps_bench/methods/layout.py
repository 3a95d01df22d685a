"""How a network's compressible weights lie in one flat vector w of n numbers."""

import math
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from rps_bench.core.errors import UserError
from rps_bench.models.initialisation import COMPRESSIBLE_TYPES, theoretical_init_std

Layout = tuple[tuple[str, tuple[int, ...]], ...]
Places = tuple[tuple[str, ...], ...]  # the names of each weight; several where it is tied


def compressible_layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Every convolution and linear layer whose weight can be compressed, in module order.

    A weight that several layers share counts once, at the first of them. A frozen weight (one that
    needs no gradient) is left as it is.

    Raises:
        UserError: There is none, or a weight is no plain parameter: missing, computed from others
            or not initialised yet.
    """
    layers: list[tuple[str, nn.Module]] = []
    seen: set[int] = set()
    num_frozen = 0
    for name, layer in model.named_modules():
        if not isinstance(layer, COMPRESSIBLE_TYPES):
            continue
        weight = _plain_weight(name, layer)
        if id(weight) in seen:
            continue
        seen.add(id(weight))
        if weight.requires_grad:
            layers.append((name, layer))
        num_frozen += not weight.requires_grad
    if not layers and num_frozen:
        raise UserError(
            f"all {num_frozen} convolution and linear weights of the network are frozen; set "
            "requires_grad on those to compress"
        )
    if not layers:
        raise UserError("the network has no convolution or linear layer to compress")
    return layers


def _plain_weight(name: str, layer: nn.Module) -> nn.Parameter:
    """The layer's own weight parameter.

    Raises:
        UserError: It has none; the line names the layer and the way out.
    """
    weight = layer._parameters.get("weight")
    label = f"layer {name or type(layer).__name__!r}"
    if isinstance(weight, nn.UninitializedParameter):
        raise UserError(
            f"{label} is lazy and has no weight yet: run one batch through the network before "
            "compressing it"
        )
    if weight is None:
        raise UserError(f"{label} has no weight of its own: {_way_to_plain_weight(layer)}")
    return weight


def _way_to_plain_weight(layer: nn.Module) -> str:
    """What makes a weight that is computed from other tensors a parameter again."""
    if parametrize.is_parametrized(layer, "weight"):
        remove = "torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight')"
    elif "weight_g" in layer._parameters:
        remove = "torch.nn.utils.remove_weight_norm(layer)"
    elif "weight_mask" in layer._buffers:
        remove = "torch.nn.utils.prune.remove(layer, 'weight')"
    elif "weight_orig" in layer._parameters:
        remove = "torch.nn.utils.remove_spectral_norm(layer)"
    else:
        return "give it a weight parameter (a network that is compressed already has none)"
    return f"it is computed from other tensors; call {remove} before compressing the network"


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


def places_of(model: nn.Module) -> Places:
    """All names under which the network holds each compressible weight, in flat order.

    More than one where the weight is tied: a second layer, an embedding that is also the head, or
    one module under two names.
    """
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return tuple(tuple(names[id(layer.weight)]) for _, layer in compressible_layers(model))


def layout_table(layout: Layout) -> list[list[Any]]:
    """A layer table as JSON has it."""
    return [[name, list(shape)] for name, shape in layout]


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
