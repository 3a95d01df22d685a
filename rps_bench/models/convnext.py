"""A small ConvNeXt (Liu et al. 2022) for small images: depthwise convolutions and LayerNorm."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.models.base import Network
from rps_bench.models.initialisation import initialise_lecun

STAGES = (2, 4, 2)  # blocks; each stage doubles the channels and halves the image
MLP_RATIO = 4


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel of images (B, C, H, W)."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The normalised images."""
        return super().forward(images.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """A depthwise 7x7 convolution, LayerNorm and two linear layers a pixel, beside a shortcut.

    Without the original's scale of 1e-6 behind them: scores that look at gradients of the first
    step would see nothing of the block.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.wide = nn.Linear(channels, MLP_RATIO * channels)
        self.narrow = nn.Linear(MLP_RATIO * channels, channels)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        pixels = self.norm(self.depthwise(images).permute(0, 2, 3, 1))
        added: torch.Tensor = self.narrow(F.gelu(self.wide(pixels)))
        return images + added.permute(0, 3, 1, 2)


class ConvNeXtMini(Network):
    """Patches of 2x2 pixels, stages of 2, 4 and 2 blocks, pooling, LayerNorm, one linear layer.

    Weights N(0, 1 / fan_in), biases 0, LayerNorm weights 1.
    """

    default_width: ClassVar[int] = 64
    smallest_image: ClassVar[int] = 2 ** len(STAGES)

    def __init__(
        self, num_classes: int, width: int = default_width, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(num_classes, width, generator)
        layers: list[nn.Module] = []
        before = 3
        for stage, num_blocks in enumerate(STAGES):
            channels = width * 2**stage
            halved = nn.Conv2d(before, channels, 2, stride=2)
            norms = [ChannelNorm(before), halved] if stage else [halved, ChannelNorm(channels)]
            layers += [*norms, *(Block(channels) for _ in range(num_blocks))]
            before = channels
        self.stages = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(before)
        self.classifier = nn.Linear(before, num_classes)
        initialise_lecun(self, generator)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) normalised images -> (B, num_classes) logits."""
        logits: torch.Tensor = self.classifier(self.norm(self.stages(images).mean(dim=(2, 3))))
        return logits
