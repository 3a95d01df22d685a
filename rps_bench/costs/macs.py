"""Multiply-accumulates of one image's forward pass through convolutions and linear layers."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.costs.sizes import layer_densities
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import layout_of, places_of
from rps_bench.models.initialisation import COMPRESSIBLE_TYPES


def uses_per_weight(model: nn.Module, image_size: int) -> dict[str, int]:
    """The number of outputs that each weight of a dense network contributes to, by its first name.

    A tied weight contributes to those of all its layers; looking up an embedding multiplies
    nothing.

    Args:
        model: A dense network.
        image_size: Height and width of its input.

    Raises:
        UserError: A weight is used without a call of its layer, as attention does.
    """
    uses: dict[str, int] = {}
    layers = {
        place: (name, model.get_submodule(place.rpartition(".")[0]))
        for (name, _), places in zip(layout_of(model), places_of(model), strict=True)
        for place in places
    }
    hooked = {id(layer): (name, layer) for name, layer in layers.values()}  # each module once
    handles = [
        layer.register_forward_hook(_counter(name, uses))
        for name, layer in hooked.values()
        if isinstance(layer, COMPRESSIBLE_TYPES)
    ]
    weight = next(model.parameters())
    try:
        with torch.inference_mode():
            model.eval()(torch.zeros(1, 3, image_size, image_size).to(weight))
    finally:
        for handle in handles:
            handle.remove()
    if uncalled := [name for name, _ in layout_of(model) if name not in uses]:
        raise UserError(f"multiplications by {uncalled[0]} cannot be counted: no layer calls it")
    return uses


def _counter(name: str, uses: dict[str, int]) -> Callable[[nn.Module, Any, torch.Tensor], None]:
    """A hook that adds the layer's number of output positions per image to ``uses[name]``."""

    def count(layer: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        num_channels = output.shape[-1 if isinstance(layer, nn.Linear) else 1]
        uses[name] = uses.get(name, 0) + output.numel() // num_channels

    return count


def measure_macs(
    compressed: CompressedModel, image_size: int, densities: Mapping[str, float] | None = None
) -> dict[str, int]:
    """``macs`` of the network as it stands, and ``effective_macs`` that count kept weights only.

    Args:
        compressed: The compressed network.
        image_size: Height and width of its input.
        densities: Its ``layer_densities``, where they are at hand.
    """
    uses = uses_per_weight(compressed.to_dense(), image_size)
    if densities is None:
        densities = layer_densities(compressed)
    macs = effective = 0
    # Each weight multiplies once per output position of its layer.
    for name, shape in compressed.layout:
        layer_macs = math.prod(shape) * uses[name]
        macs += layer_macs
        effective += round(layer_macs * densities[name])
    return {"macs": macs, "effective_macs": effective}
