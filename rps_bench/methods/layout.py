"""How a network's compressible weights lie in one flat vector w of n numbers."""

import math
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import nn

from rps_bench.methods.choice import chosen_names
from rps_bench.models.initialisation import init_std_of

Layout = tuple[tuple[str, tuple[int, ...]], ...]
Places = tuple[tuple[str, ...], ...]  # the names of each weight; several where it is tied


def compressible_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that are compressed, by their first names, in flat order.

    What they are is decided in ``rps_bench.methods.choice``. A weight that several layers share
    counts once, at the first of them.

    Raises:
        UserError: There is none, or one is no plain parameter.
    """
    return {name: model.get_parameter(name) for name in chosen_names(model)}


def layout_of(model: nn.Module) -> Layout:
    """((qualified name of the weight, its shape), ...) in flat order."""
    return tuple((name, tuple(w.shape)) for name, w in compressible_weights(model).items())


def places_of(model: nn.Module) -> Places:
    """All names under which the network holds each compressible weight, in flat order.

    More than one where the weight is tied: a second layer, an embedding that is also the head, or
    one module under two names.
    """
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return tuple(tuple(names[id(weight)]) for weight in compressible_weights(model).values())


def layout_table(layout: Layout) -> list[list[Any]]:
    """A layer table as JSON has it."""
    return [[name, list(shape)] for name, shape in layout]


def init_stds_of(model: nn.Module) -> tuple[float, ...]:
    """The std of each compressed weight's dense init, in flat order."""
    return tuple(init_std_of(model, name) for name in compressible_weights(model))


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
    return torch.cat([w.detach().reshape(-1) for w in compressible_weights(model).values()])


def split_weights(flat: torch.Tensor, layout: Layout) -> list[torch.Tensor]:
    """Views of the flat vector w (n,) in the layers' shapes, in flat order."""
    pieces = flat.split_with_sizes(list(layer_sizes(layout)))
    return [piece.view(shape) for piece, (_, shape) in zip(pieces, layout, strict=True)]
