"""What all parameter-sharing methods do: one repository theta, read through a hash map.

A method is a file of its own here, which holds its map, too.

lambda of a layer = (theoretical std of its dense init) / init_std, so that the recovered weights
of a Normal(0, init_std) repository have the dense std in every layer.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from rps_bench.core import checks
from rps_bench.core.kinds import Kind
from rps_bench.methods.base import Method, Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import (
    Layout,
    flatten_weights,
    init_stds_of,
    layout_of,
)
from rps_bench.methods.scaling import SCALINGS
from rps_bench.methods.sharing.repository import REPOSITORY_INITS
from rps_bench.methods.sharing.sharing_map import SharingMap
from rps_bench.methods.sharing.shuffled import LayerShuffledMap
from rps_bench.methods.shuffling import SHUFFLES
from rps_bench.methods.weight_map import WeightMap


@dataclass(frozen=True)
class SharingMethod(Method):
    """A method at one compression and seed, whose network is read through its ``map_type``.

    Attributes:
        init_std: s0, the std of the repository (the half-width for ``uniform``).
        repository_init: How theta starts, a name of ``REPOSITORY_INITS``.
        scaling: Name of the gradient scaling.
        shuffle: ``layer`` permutes the map's rows within each layer, a control for which weights
            share; ``none`` leaves the map as it is.
    """

    kind: ClassVar[Kind] = "sharing"
    map_type: ClassVar[type[SharingMap]]

    init_std: float = 0.04
    repository_init: str = "normal"
    scaling: str = "none"
    shuffle: str = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive_number("method.init_std", self.init_std)
        checks.choice("method.repository_init", self.repository_init, REPOSITORY_INITS)
        checks.choice("method.scaling", self.scaling, SCALINGS)
        checks.choice("method.shuffle", self.shuffle, SHUFFLES)

    def build_map(self, layout: Layout, scales: tuple[float, ...]) -> SharingMap:
        """The method's map for a layer table with scales lambda.

        A method whose map takes more than these numbers builds it itself.
        """
        return self.map_type(layout, scales, self.num_stored(layout), self.seed)

    def _compress(self, model: nn.Module, probe: Probe) -> CompressedModel:
        """The network read from a fresh repository. The probe is not looked at."""
        scales = tuple(std / self.init_std for std in init_stds_of(model))
        weights = flatten_weights(model)
        own_map = self.build_map(layout_of(model), scales)
        is_shuffled = self.shuffle == "layer"
        weight_map: WeightMap = LayerShuffledMap(own_map) if is_shuffled else own_map
        weight_map.to(weights.device, weights.dtype)
        draw = REPOSITORY_INITS[self.repository_init]
        stored = draw(weight_map, weights, self.init_std, self.seed)
        return CompressedModel(model, weight_map, stored, self.scaling)
