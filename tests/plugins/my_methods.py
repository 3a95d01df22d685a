"""A plugin of all kinds: a pruning score, a sharing map and its method, a network, a dataset."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from rps_bench.datasets import DatasetInfo
from rps_bench.methods.base import Probe
from rps_bench.methods.layout import flatten_weights
from rps_bench.methods.pruning.base import PruningMethod
from rps_bench.methods.sharing.base import SharingMethod
from rps_bench.methods.sharing.sharing_map import SharingMap
from rps_bench.models.base import Network
from rps_bench.models.initialisation import initialise_kaiming


@dataclass(frozen=True)
class Power(PruningMethod):
    """Score abs(w_i) to a power, which ranks as abs(w_i) does."""

    name: ClassVar[str] = "power"

    exponent: float = 2.0
    offset: int | None = None

    def scores(self, model: nn.Module, probe: Probe) -> torch.Tensor:
        return flatten_weights(model).abs() ** self.exponent


class ModuloMap(SharingMap):
    """slot = i mod m."""

    kind = "modulo"

    def slots_between(self, start: int, stop: int) -> torch.Tensor:
        return self.positions_between(start, stop) % self.num_stored


@dataclass(frozen=True)
class Modulo(SharingMethod):
    name: ClassVar[str] = "modulo"
    map_type: ClassVar[type[SharingMap]] = ModuloMap


class Shallow(Network):
    """One convolution, pooling, one linear layer."""

    default_width = 6

    def __init__(
        self, num_classes: int, width: int = default_width, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(num_classes, width, generator)
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.classifier = nn.Linear(width, num_classes)
        initialise_kaiming(self, generator)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classifier(self.conv(images).relu().mean(dim=(2, 3)))
        return logits


def load_stripes(root: Path) -> Mapping[str, tuple[Any, Any]]:
    """Bright columns for class 0, bright rows for class 1."""
    generator = np.random.default_rng(0)

    def draw(num_images: int) -> tuple[Any, Any]:
        labels = np.arange(num_images) % 2
        images = generator.integers(0, 60, (num_images, 3, 8, 8), dtype=np.uint8)
        images[labels == 0, :, :, ::2] += 150
        images[labels == 1, :, ::2, :] += 150
        return images, labels

    return {"train": draw(64), "test": draw(16)}


METHODS = {"power": Power, "modulo": Modulo}
ARCHITECTURES = {"shallow": Shallow}
DATASETS = {
    "stripes": DatasetInfo(
        name="stripes",
        num_classes=2,
        image_size=8,
        mean=(0.4, 0.4, 0.4),
        std=(0.3, 0.3, 0.3),
        num_train=64,
        num_test=16,
        flip=False,
        load=load_stripes,
    )
}
