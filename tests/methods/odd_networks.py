"""Networks as people bring them: tied, frozen, shared, hidden, attending."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn


class TiedLinear(nn.Module):
    """Two layers with one weight: n = 3072 + 256 + 64."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle = nn.Linear(192, 16), nn.Linear(16, 16)
        self.again, self.head = nn.Linear(16, 16), nn.Linear(16, 4)
        self.again.weight = self.middle.weight

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = F.relu(self.first(images.flatten(1)))
        logits: torch.Tensor = self.head(F.relu(self.again(F.relu(self.middle(hidden)))))
        return logits


class TiedEmbedding(nn.Module):
    """An embedding that is also the head, which comes after another layer."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.mix = nn.Embedding(4, 192), nn.Linear(192, 192)
        self.head = nn.Linear(192, 4, bias=False)
        self.head.weight = self.table.weight

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        seen = self.table(torch.zeros(len(images), dtype=torch.int64, device=images.device))
        logits: torch.Tensor = self.head(self.mix(images.flatten(1)) + seen)
        return logits


class LayerTwice(nn.Module):
    """One module under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.head = (
            nn.Linear(192, 16),
            nn.Linear(16, 16),
            nn.Linear(16, 4),
        )
        self.again = self.middle

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = F.relu(self.first(images.flatten(1)))
        logits: torch.Tensor = self.head(F.relu(self.again(F.relu(self.middle(hidden)))))
        return logits


class HiddenTie(nn.Module):
    """A decoder that reads the encoder's weight through a list, where PyTorch does not see it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = nn.Linear(192, 16, bias=False), nn.Linear(192, 4)
        self.tied, self.decode = [self.encoder], self.read_back

    def read_back(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden, self.tied[0].weight.t())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.decode(F.relu(self.encoder(images.flatten(1)))))
        return logits


class Attention(nn.Module):
    """Attention reads its output layer's weight without calling that layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(3, 16), nn.Linear(16, 4)
        self.attend = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.embed(images.flatten(2).transpose(1, 2))
        logits: torch.Tensor = self.head(self.attend(tokens).mean(1))
        return logits


class OddBuffers(nn.Module):
    """Buffers and a parameter of other dtypes than the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(192, 4)
        self.shift = nn.Parameter(torch.full((4,), 0.5, dtype=torch.float64))
        self.register_buffer("flag", torch.tensor([True, False, True]))
        self.register_buffer("halves", torch.full((3,), 0.3, dtype=torch.float16))
        self.register_buffer("doubles", torch.full((), 0.1, dtype=torch.float64))
        self.register_buffer("smalls", torch.arange(3, dtype=torch.int32))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(images.flatten(1)) + self.shift
        return logits.to(self.head.weight.dtype)


def frozen_convolution() -> nn.Module:
    """Its first layer keeps the weights that it was brought with."""
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    )
    network[0].weight.requires_grad_(False)
    return network


def grouped_and_transposed() -> nn.Module:
    """A grouped, a depthwise and a transposed convolution, which is left dense."""
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1, groups=3),
        nn.BatchNorm2d(12),
        nn.Conv2d(12, 12, 3, groups=12),
        nn.ReLU(),
        nn.ConvTranspose2d(12, 6, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 4),
    )


class OneDimensional(nn.Module):
    """A 1-d convolution along the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.along, self.head = nn.Conv1d(3, 8, 3), nn.Linear(8, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(F.relu(self.along(images.flatten(2))).mean(-1))
        return logits


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "tied layers": TiedLinear,
    "tied embedding": TiedEmbedding,
    "layer twice": LayerTwice,
    "hidden tie": HiddenTie,
    "attention": Attention,
    "odd buffers": OddBuffers,
    "frozen layer": frozen_convolution,
    "grouped and transposed": grouped_and_transposed,
    "1-d": OneDimensional,
}


def build(name: str, seed: int = 0) -> nn.Module:
    """A network of the table, of PyTorch's own init."""
    torch.manual_seed(seed)
    return NETWORKS[name]()
