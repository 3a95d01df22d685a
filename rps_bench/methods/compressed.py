"""A network whose convolution and linear weights are recovered from the stored values theta."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rps_bench.methods.layout import (
    compressible_layers,
    layout_of,
    num_weights,
    split_weights,
)
from rps_bench.methods.scaling import gradient_scale
from rps_bench.methods.storage import round_values
from rps_bench.methods.weight_map import WeightMap
from rps_bench.storages import EXACT


class CompressedModel(nn.Module):
    """theta, the map A, and a skeleton: the network without its compressible weights.

    Its parameters are ``stored`` plus the skeleton's biases and BatchNorm, nothing else. The
    weights exist only during a forward pass and, through the autograd graph, until the backward
    pass has used them.

    Args:
        model: The dense network; copied, left untouched.
        weight_map: A, of n rows and m columns.
        stored: (m,) initial values of theta.
        scaling: Name of the gradient scaling.
    """

    def __init__(
        self, model: nn.Module, weight_map: WeightMap, stored: torch.Tensor, scaling: str = "none"
    ) -> None:
        super().__init__()
        self.layout = layout_of(model)
        assert weight_map.num_weights == num_weights(self.layout)
        assert stored.shape == (weight_map.num_stored,)
        self.scaling = scaling
        self.stored = nn.Parameter(stored.detach().clone())
        self.weight_map = weight_map.to(stored.device, stored.dtype)
        self.skeleton = copy.deepcopy(model)
        self._layers = [layer for _, layer in compressible_layers(self.skeleton)]
        for layer in self._layers:
            layer.register_parameter("weight", None)  # keeps its place among the parameters

    def weights(self) -> torch.Tensor:
        """(n,) recovered flat weights w = A theta; for a dense network a view of theta."""
        return self.weight_map.recover(self.stored)

    def gradient_scale(self) -> torch.Tensor:
        """(m,) s: the training loop divides theta's gradient by it."""
        return gradient_scale(self.weight_map, self.scaling)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) normalised images -> (B, num_classes) logits."""
        with self._holding(self.weights()):
            logits: torch.Tensor = self.skeleton(images)
        return logits

    def to_dense(self) -> nn.Module:
        """A plain module of the network's own class that holds the recovered weights."""
        dense = copy.deepcopy(self.skeleton)
        pieces = split_weights(self.weights().detach(), self.layout)
        layers = [dense.get_submodule(name.rpartition(".")[0]) for name, _ in self.layout]
        for layer, piece in zip(layers, pieces, strict=True):
            layer.weight = nn.Parameter(piece.clone())
        return dense

    def save(
        self, path: str | Path, storage: str = EXACT, facts: Mapping[str, Any] | None = None
    ) -> None:
        """Write the real compressed file (see ``rps_bench.methods.files``).

        Args:
            path: A file, replaced only when the new one is whole.
            storage: exact, fp16, bf16 or int8, for theta.
            facts: What its header should tell a reader, JSON-ready.
        """
        from rps_bench.methods.files import save_compressed  # which needs this class

        save_compressed(self, path, storage, facts)

    @torch.no_grad()
    def round_stored(self, storage: str) -> None:
        """Round theta in place to what a file of this storage holds."""
        self.stored.copy_(round_values(self.stored, storage))

    @contextmanager
    def _holding(self, flat: torch.Tensor) -> Iterator[None]:
        """Give the layers their views of w for the time of one pass."""
        try:
            for layer, piece in zip(self._layers, split_weights(flat, self.layout), strict=True):
                layer.__dict__["weight"] = piece
            yield
        finally:
            for layer in self._layers:
                layer.__dict__.pop("weight", None)
