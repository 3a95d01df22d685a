"""Recovery on the fly: each layer's weights exist only while that layer computes.

For inference where memory is short: theta and the weights of one layer, never all n weights.
"""

from copy import deepcopy
from functools import partial

import torch
from torch import nn

from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import compressible_layers, layer_ranges
from rps_bench.methods.weight_map import WeightMap

CHUNK = 2**16  # weights recovered at once: bounds what a map computes beside the layer itself


def recover_by_layer(compressed: CompressedModel) -> "LayerwiseModel":
    """The same network with the same outputs, bit for bit, that holds one layer at a time."""
    return LayerwiseModel(compressed)


class LayerwiseModel(nn.Module):
    """theta, the map A, and a skeleton whose layers get their weights when their turn comes.

    Inference only: it starts in eval mode, and no gradient passes. The network must use a layer's
    weight in that layer's own forward and nowhere else.

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
        ranges = layer_ranges(compressed.layout)
        layers = compressible_layers(self.skeleton)
        for (_, layer), (_, shape), place in zip(layers, compressed.layout, ranges, strict=True):
            layer.register_forward_pre_hook(partial(self._give_weight, shape, place))
            layer.register_forward_hook(_drop_weight, always_call=True)  # after an error, too
        self.eval()

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) normalised images -> (B, num_classes) logits."""
        logits: torch.Tensor = self.skeleton(images)
        return logits

    def _give_weight(
        self, shape: tuple[int, ...], place: tuple[int, int], layer: nn.Module, inputs: object
    ) -> None:
        layer.__dict__["weight"] = recover_range(self.weight_map, self.stored, *place).view(shape)


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


def _drop_weight(layer: nn.Module, inputs: object, outputs: object) -> None:
    layer.__dict__.pop("weight", None)
