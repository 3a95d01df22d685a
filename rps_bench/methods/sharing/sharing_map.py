"""The map of every parameter-sharing method: a slot by hash, a sign by hash, a scale per layer."""

from collections.abc import Sequence

import torch

from rps_bench.methods.layout import Layout, layer_ranges, num_weights
from rps_bench.methods.sharing.hashing import hash_signs
from rps_bench.methods.weight_map import WeightMap
from rps_bench.seeds import derive_key


class SharingMap(WeightMap):
    """Row i of A has lambda_i * g(i) at slot h(i): lambda the layer's scale, g a sign by hash.

    Slots, signs and scales are computed from (seed, position, layer table) whenever they are
    needed; one seed serves the whole network.

    Args:
        layout: The layers in flat order.
        scales: lambda of each layer.
        num_stored: m.
        seed: The map's seed.
    """

    kind: str

    def __init__(self, layout: Layout, scales: Sequence[float], num_stored: int, seed: int) -> None:
        super().__init__(num_weights(layout), num_stored)
        self.layout, self.scales, self.seed = layout, tuple(scales), seed

    def key(self, purpose: str) -> int:
        """The hash key of one purpose ("slot", "sign", ...) of this map."""
        return derive_key(self.seed, self.kind, purpose)

    def positions_between(self, start: int, stop: int) -> torch.Tensor:
        """start, start + 1, ... on the map's device."""
        return torch.arange(start, stop, device=self.anchor.device)

    def signs_between(self, start: int, stop: int) -> torch.Tensor:
        """(stop - start,) +1 or -1."""
        anchor = self.anchor
        return hash_signs(self.key("sign"), stop - start, anchor.dtype, anchor.device, start)

    def signs(self) -> torch.Tensor:
        """(n,) the signs of all weights."""
        return self.signs_between(0, self.num_weights)

    def coefficients_between(self, start: int, stop: int) -> torch.Tensor:
        """lambda_i * g(i)."""
        return self.scale_layers_(self.signs_between(start, stop), start)

    def scale_layers_(self, flat: torch.Tensor, start: int = 0) -> torch.Tensor:
        """Multiply each layer's part of ``flat``, w from ``start`` on, by its lambda, in place."""
        for (begin, end), scale in zip(layer_ranges(self.layout), self.scales, strict=True):
            low, high = max(begin - start, 0), min(end - start, flat.numel())
            if low < high:
                flat[low:high].mul_(scale)
        return flat

    def description(self) -> dict[str, object]:
        """All that the map is computed from, beside the layer table; JSON-ready."""
        return {
            "kind": self.kind,
            "scales": self.scales,
            "num_stored": self.num_stored,
            "seed": self.seed,
        }
