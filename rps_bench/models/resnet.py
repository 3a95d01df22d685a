"""ResNet-20 for small images (He et al. 2016, CIFAR variant with projection shortcuts)."""

from typing import ClassVar

import torch
from torch import nn

from rps_bench.engine.layers import norm_relu
from rps_bench.models.base import Network
from rps_bench.models.initialisation import initialise_kaiming


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut: (B, in, H, W) -> (B, out, H/stride, W/stride)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.stride, self.shortcut = stride, nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """The block's output."""
        inner = norm_relu(self.bn1, self.conv1(features))
        # Picking pixels first gives the same bits as a convolution with a stride, and goes round a
        # fault of PyTorch 2.15, which could write outside its memory on a CPU.
        picked = features[:, :, :: self.stride, :: self.stride]
        return norm_relu(self.bn2, self.conv2(inner), self.shortcut(picked))


class ResNet20(Network):
    """A 3x3 stem of ``width`` channels, three groups of three blocks, pooling, one linear layer.

    Kaiming-normal weights, BatchNorm weights U(0, 1), biases 0. Any input size from 4x4 up.
    """

    default_width: ClassVar[int] = 16
    smallest_image: ClassVar[int] = 4

    def __init__(
        self, num_classes: int, width: int = default_width, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(num_classes, width, generator)
        self.stem = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        blocks: list[nn.Module] = []
        channels = width
        for group, out_channels in enumerate((width, 2 * width, 4 * width)):
            for block in range(3):
                stride = 2 if group > 0 and block == 0 else 1
                blocks.append(BasicBlock(channels, out_channels, stride))
                channels = out_channels
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(channels, num_classes)
        initialise_kaiming(self, generator)
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.uniform_(layer.weight, generator=generator)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) normalised images -> (B, num_classes) logits."""
        features = self.blocks(norm_relu(self.bn, self.stem(images)))
        logits: torch.Tensor = self.classifier(features.mean(dim=(2, 3)))
        return logits
