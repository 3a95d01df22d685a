"""VGG-11 with BatchNorm for small images (Simonyan and Zisserman 2015, one linear layer)."""

from typing import ClassVar

import torch
from torch import nn

from rps_bench.models.base import Network
from rps_bench.models.initialisation import initialise_kaiming

# Channels in units of the width; "pool" halves the image.
PLAN: tuple[int | str, ...] = (1, "pool", 2, "pool", 4, 4, "pool", 8, 8, "pool", 8, 8)


class VGG11(Network):
    """Eight 3x3 convolutions with bias, BatchNorm and ReLU, four poolings, one linear layer.

    Kaiming-normal weights, BatchNorm weights 1, biases 0. Any input size from 16x16 up.
    """

    default_width: ClassVar[int] = 64
    smallest_image: ClassVar[int] = 16

    def __init__(
        self, num_classes: int, width: int = default_width, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(num_classes, width, generator)
        layers: list[nn.Module] = []
        channels = 3
        for item in PLAN:
            if isinstance(item, str):
                layers.append(nn.MaxPool2d(2))
                continue
            out_channels = item * width
            layers += [
                nn.Conv2d(channels, out_channels, 3, padding=1),
                nn.BatchNorm2d(out_channels),
                nn.ReLU(),
            ]
            channels = out_channels
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, num_classes)
        initialise_kaiming(self, generator)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) normalised images -> (B, num_classes) logits."""
        logits: torch.Tensor = self.classifier(self.features(images).mean(dim=(2, 3)))
        return logits
