"""ViT-Tiny for small images: a transformer without BatchNorm, whose weights have a scale.

Widths and depth of DeiT-Tiny (Touvron et al. 2021), patches of 4x4 pixels; fixed positions and mean
pooling of "Better plain ViT baselines" (Beyer et al. 2022), so that it takes any image size.
"""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.models.base import Network
from rps_bench.models.initialisation import initialise_lecun

PATCH = 4  # pixels
NUM_BLOCKS, NUM_HEADS, MLP_RATIO = 12, 3, 4
LONGEST_WAVE = 10_000.0  # of the fixed positions, in patches, over 2 pi


class Attention(nn.Module):
    """Self-attention of ``NUM_HEADS`` heads: (B, T, width) -> (B, T, width).

    Its projections are linear layers of their own, so that every method sees them. The formula
    is written out: on a CPU in bf16 the backward pass of ``scaled_dot_product_attention`` (torch
    2.14) is 4 to 10 times slower than that of these products.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.head_width = -(-width // NUM_HEADS)
        inner = NUM_HEADS * self.head_width
        self.qkv = nn.Linear(width, 3 * inner)
        self.projection = nn.Linear(inner, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """What each token gathers from all."""
        heads = self.qkv(tokens).unflatten(-1, (3, NUM_HEADS, self.head_width))
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # (B, heads, T, head_width) each
        scores = query @ key.transpose(-2, -1) / math.sqrt(self.head_width)  # (B, heads, T, T)
        gathered = scores.softmax(-1) @ value
        projected: torch.Tensor = self.projection(gathered.transpose(1, 2).flatten(2))
        return projected


class Block(nn.Module):
    """Attention and two linear layers, each behind a LayerNorm and beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width)
        self.norm2 = nn.LayerNorm(width)
        self.wide = nn.Linear(width, MLP_RATIO * width)
        self.narrow = nn.Linear(MLP_RATIO * width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, T, width) -> (B, T, width)."""
        tokens = tokens + self.attention(self.norm1(tokens))
        added: torch.Tensor = self.narrow(F.gelu(self.wide(self.norm2(tokens))))
        return tokens + added


class ViTTiny(Network):
    """Twelve blocks on patches of 4x4 pixels, three heads, mean of tokens, one linear layer.

    Weights N(0, 1 / fan_in), biases 0, LayerNorm weights 1. Pixels beyond the last whole patch are
    not seen.
    """

    default_width: ClassVar[int] = 192
    smallest_image: ClassVar[int] = PATCH

    def __init__(
        self, num_classes: int, width: int = default_width, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(num_classes, width, generator)
        self.stem = nn.Conv2d(3, width, PATCH, stride=PATCH)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(NUM_BLOCKS)))
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, num_classes)
        initialise_lecun(self, generator)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) normalised images -> (B, num_classes) logits."""
        patches = self.stem(images)
        positions = fixed_positions(patches.shape[2], patches.shape[3], self.width).to(patches)
        tokens = self.blocks(patches.flatten(2).transpose(1, 2) + positions)
        logits: torch.Tensor = self.classifier(self.norm(tokens).mean(1))
        return logits


def fixed_positions(rows: int, columns: int, width: int) -> torch.Tensor:
    """Sines and cosines of the row and the column of each patch: (rows * columns, width) float32.

    A quarter of the channels each, of geometrically growing wave lengths.
    """
    num_waves = -(-width // 4)
    waves = torch.arange(num_waves) / max(num_waves - 1, 1)
    frequencies = torch.exp(-math.log(LONGEST_WAVE) * waves)
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angles = [place.flatten()[:, None] * frequencies for place in (row, column)]
    parts = [function(angle) for angle in angles for function in (torch.sin, torch.cos)]
    return torch.cat(parts, 1)[:, :width]
