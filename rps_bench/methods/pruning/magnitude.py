"""Magnitude pruning at initialisation."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

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
