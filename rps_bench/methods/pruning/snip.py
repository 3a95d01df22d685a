"""SNIP (Lee, Ajanthan and Torr 2019): connection sensitivity."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from rps_bench.methods.base import Probe
from rps_bench.methods.layout import flatten_weights
from rps_bench.methods.pruning.base import ProbedPruningMethod
from rps_bench.methods.pruning.gradients import probe_loss_gradient


@dataclass(frozen=True)
class Snip(ProbedPruningMethod):
    """Score abs(w_i dL/dw_i): how much the loss on the probe feels a mask on the weight."""

    name: ClassVar[str] = "snip"

    def scores(self, model: nn.Module, probe: Probe) -> torch.Tensor:
        """(n,) abs(w * dL/dw), L the mean cross-entropy over the probe."""
        with self.in_score_mode(model, probe):
            return (flatten_weights(model) * probe_loss_gradient(model, probe, self.name)).abs()
