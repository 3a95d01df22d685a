"""Magnitude pruning at initialisation, and random pruning."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from rps_bench.core.seeds import named_generator
from rps_bench.methods.base import Probe
from rps_bench.methods.layout import flatten_weights
from rps_bench.methods.pruning.base import PruningMethod


@dataclass(frozen=True)
class Magnitude(PruningMethod):
    """Score abs(w_i): layers with a larger init std keep more."""

    name: ClassVar[str] = "mag"

    def scores(self, model: nn.Module, probe: Probe) -> torch.Tensor:
        """(n,) abs(w)."""
        return flatten_weights(model).abs()


@dataclass(frozen=True)
class RandomPruning(PruningMethod):
    """Score uniform random, of the run's seed."""

    name: ClassVar[str] = "rand"

    def scores(self, model: nn.Module, probe: Probe) -> torch.Tensor:
        """(n,) uniform on [0, 1), the same in every round."""
        weights = flatten_weights(model)
        generator = named_generator(self.seed, "scores")
        draws = torch.rand(weights.numel(), generator=generator, dtype=torch.float64)
        return draws.to(weights.device)
