"""Recovery on the fly: each layer's weights exist only while that layer computes.

For inference where memory is short: theta and the weights of one layer, never all n weights.
"""

from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import nn

from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import layer_ranges
from rps_bench.methods.lending import LENT
from rps_bench.methods.weight_map import WeightMap

RECOVER = "recover_weights"  # attribute of a layer: {name of its weight: what recovers it}
CHUNK = 2**16  # weights recovered at once: bounds what a map computes beside the layer itself


def recover_by_layer(compressed: CompressedModel) -> "LayerwiseModel":
    """The same network, with the same weights bit for bit, that holds one layer at a time.

    So are its outputs, unless a kernel sums in another order for weights that lie elsewhere.
    """
    return LayerwiseModel(compressed)


class LayerwiseModel(nn.Module):
    """theta, the map A, and a skeleton whose layers recover their weights when they are read.

    Inference only: it starts in eval mode, and no gradient passes. A weight lives as long as what
    reads it, which for most layers is their own forward.

    Args:
        compressed: Left as it is. theta and the map are shared with it, not copied, so it must not
            be moved to another device or dtype afterwards.
    """

    stored: torch.Tensor

    def __init__(self, compressed: CompressedModel) -> None:
        super().__init__()
        self.weight_map = compressed.weight_map
        self.register_buffer("stored", compressed.stored.detach())
        self.skeleton = deepcopy(compressed.skeleton).requires_grad_(False)
        shapes = [shape for _, shape in compressed.layout]
        parts = list(zip(shapes, layer_ranges(compressed.layout), strict=True))
        for layer in self.skeleton.modules():
            if lent := layer.__dict__.get(LENT):
                layer.__dict__[RECOVER] = {
                    name: partial(self._recover, *parts[index]) for name, index in lent.items()
                }
                layer.__class__ = _recovering(type(layer), tuple(lent))
        self.eval()

    @torch.no_grad()
    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the network gives: (B, 3, H, W) normalised images -> (B, num_classes) logits."""
        return self.skeleton(*inputs, **options)

    def _recover(self, shape: tuple[int, ...], place: tuple[int, int]) -> torch.Tensor:
        return recover_range(self.weight_map, self.stored, *place).view(shape)


_recovering_types: dict[tuple[type[nn.Module], tuple[str, ...]], type[nn.Module]] = {}


def _recovering(layer_type: type[nn.Module], names: tuple[str, ...]) -> type[nn.Module]:
    """The class of layers whose weights of these names are recovered each time they are read.

    Reading is what all layers do with a weight; attention, for one, never calls its output layer.
    """
    key = layer_type, names
    if key not in _recovering_types:
        weights = {name: property(partial(_read_weight, name)) for name in names}
        content = {**weights, "__module__": layer_type.__module__}
        _recovering_types[key] = type(layer_type.__name__, (layer_type,), content)
    return _recovering_types[key]


def _read_weight(name: str, layer: nn.Module) -> torch.Tensor:
    weight: torch.Tensor = layer.__dict__[RECOVER][name]()
    return weight


def recover_range(
    weight_map: WeightMap, stored: torch.Tensor, start: int, stop: int
) -> torch.Tensor:
    """(stop - start,) weights of a range, recovered in chunks into place.

    Args:
        weight_map: A.
        stored: (m,) theta.
        start: First weight, in the flat w.
        stop: One past the last.
    """
    if stop - start <= CHUNK:
        return weight_map.expand_range(stored, start, stop)
    weights = stored.new_empty(stop - start)
    for low in range(start, stop, CHUNK):
        high = min(low + CHUNK, stop)
        weights[low - start : high - start] = weight_map.expand_range(stored, low, high)
    return weights
