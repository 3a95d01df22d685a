"""Networks of other kinds than ours, each with a probe that fits; and networks that do not fit."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.methods.base import Probe


def draw_images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


IMAGES = draw_images(20, 3, 4, 4)
LABELS = torch.arange(20) % 4
TOKENS = torch.randint(0, 30, (20, 6), generator=torch.Generator().manual_seed(5))


class Applied(nn.Module):
    """A module whose forward is a function of it and its input."""

    def __init__(self, call: Callable[..., torch.Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.call = call
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.call(self, inputs)


def mlp(*between: nn.Module, hidden: int = 8) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(48, hidden), nn.ReLU(), *between, nn.Linear(hidden, 4)
    )


def narrow(dtype: torch.dtype) -> nn.Module:
    return mlp().to(dtype)


def convolutions() -> nn.Module:
    """One-dimensional, grouped, depthwise; without BatchNorm."""
    return nn.Sequential(
        nn.Flatten(2),
        nn.Conv1d(3, 8, 3),
        nn.GELU(),
        nn.Conv1d(8, 8, 3, groups=2),
        nn.Conv1d(8, 8, 1, groups=8),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )


def frozen() -> nn.Module:
    network = mlp(nn.Linear(8, 8))
    network[1].bias.requires_grad_(False)  # type: ignore[index]
    network[3].requires_grad_(False)  # type: ignore[index]
    return network


def hooked() -> nn.Module:
    network = mlp()
    network[1].register_forward_hook(lambda layer, inputs, outputs: outputs * 2)  # type: ignore[index]
    network[3].register_full_backward_hook(lambda layer, before, after: None)  # type: ignore[index]
    return network


def casting() -> nn.Module:
    """Casts to float32, begins a state in it, and ends in it."""

    def forward(self: Any, images: torch.Tensor) -> torch.Tensor:
        hidden = (images.flatten(1) - torch.zeros(48)).float()
        state = torch.zeros(len(images), 8) @ self.recurrent.weight
        state = torch.relu(self.first(hidden) + state)
        logits: torch.Tensor = self.last(state).to(torch.float32)
        return logits

    layers = {"first": nn.Linear(48, 8), "recurrent": nn.Linear(8, 8), "last": nn.Linear(8, 4)}
    return Applied(forward, **layers)


def indexing() -> nn.Module:
    """Buffers that index and choose."""

    def forward(self: Any, images: torch.Tensor) -> torch.Tensor:
        pixels = images.flatten(1)[:, self.order].masked_fill(self.hidden, 0)
        logits: torch.Tensor = self.rest(pixels)
        return logits

    network = Applied(forward, rest=mlp())
    network.register_buffer("order", torch.arange(-1, -49, -1))
    network.register_buffer("hidden", torch.arange(48) == 7)
    return network


def masked(closed: float = -torch.inf) -> nn.Module:
    """Attention with a causal mask in a buffer; places differ, also on an image of ones."""

    def forward(self: Any, images: torch.Tensor) -> torch.Tensor:
        hidden = self.first(images.flatten(2).transpose(1, 2)) + self.places
        weights = (hidden @ hidden.transpose(1, 2) + self.mask).softmax(-1)
        logits: torch.Tensor = self.last((weights @ hidden).mean(1))
        return logits

    network = Applied(forward, first=nn.Linear(3, 8), last=nn.Linear(8, 4))
    network.register_buffer("places", torch.linspace(0, 1, 16).view(16, 1))
    network.register_buffer("mask", torch.full((16, 16), closed).triu(1))
    return network


def fused_attention() -> nn.Module:
    def forward(self: Any, images: torch.Tensor) -> torch.Tensor:
        hidden = self.first(images.flatten(2).transpose(1, 2))
        mixed = F.scaled_dot_product_attention(self.query(hidden), self.key(hidden), hidden)
        logits: torch.Tensor = self.last(mixed.mean(1))
        return logits

    layers = {"query": nn.Linear(8, 8), "key": nn.Linear(8, 8)}
    return Applied(forward, first=nn.Linear(3, 8), **layers, last=nn.Linear(8, 4))


def written_out_attention() -> nn.Module:
    """The same without PyTorch's own operation."""

    def forward(self: Any, images: torch.Tensor) -> torch.Tensor:
        hidden = self.first(images.flatten(2).transpose(1, 2))
        products = self.query(hidden) @ self.key(hidden).transpose(1, 2)
        mixed = (products / 8**0.5).softmax(-1) @ hidden
        logits: torch.Tensor = self.last(mixed.mean(1))
        return logits

    network = fused_attention()
    network.call = forward  # type: ignore[assignment]
    return network


def transformer() -> nn.Module:
    def forward(self: Any, images: torch.Tensor) -> torch.Tensor:
        hidden = self.first(images.flatten(2).transpose(1, 2))
        logits: torch.Tensor = self.last(self.encoder(hidden).mean(1))
        return logits

    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
    return Applied(forward, first=nn.Linear(3, 8), encoder=layer, last=nn.Linear(8, 4))


def language_model() -> nn.Module:
    def forward(self: Any, tokens: torch.Tensor) -> torch.Tensor:
        states, _ = self.states(self.table(tokens))
        logits: torch.Tensor = self.last(torch.relu(self.first(states)).mean(1))
        return logits

    parts = {"table": nn.Embedding(30, 8), "states": nn.GRU(8, 8, batch_first=True)}
    return Applied(forward, **parts, first=nn.Linear(8, 8), last=nn.Linear(8, 4))


def evaluating() -> nn.Module:
    return mlp(nn.BatchNorm1d(8), nn.Dropout(0.5)).eval()


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Probe]] = {
    "plain": (mlp, (IMAGES, LABELS)),
    "dropout": (lambda: mlp(nn.Dropout(0.5)), (IMAGES, LABELS)),
    "in eval mode": (evaluating, (IMAGES, LABELS)),
    "convolutions": (convolutions, (IMAGES, LABELS)),
    "frozen in part": (frozen, (IMAGES, LABELS)),
    "hooked": (hooked, (IMAGES, LABELS)),
    "bf16, float32 probe": (lambda: narrow(torch.bfloat16), (IMAGES, LABELS)),
    "float16": (lambda: narrow(torch.float16), (IMAGES.half(), LABELS)),
    "float32, bf16 probe": (mlp, (IMAGES.bfloat16(), LABELS)),
    "float64": (lambda: narrow(torch.float64), (IMAGES.double(), LABELS)),
    "casting": (casting, (IMAGES, LABELS)),
    "indexing": (indexing, (IMAGES, LABELS)),
    "masked": (masked, (IMAGES, LABELS)),
    "fused attention": (fused_attention, (IMAGES, LABELS)),
    "transformer": (transformer, (IMAGES, LABELS)),
    "tokens": (language_model, (TOKENS, LABELS)),
    "pixels": (
        lambda: nn.Conv2d(3, 4, 3, padding=1),
        (IMAGES, torch.zeros(20, 4, 4, dtype=torch.int64)),
    ),
}
