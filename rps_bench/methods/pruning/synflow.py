"""SynFlow (Tanaka, Kunin, Yamins and Ganguli 2020): iterative synaptic flow, without data."""

import copy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from rps_bench.methods.base import Probe
from rps_bench.methods.layout import flatten_weights
from rps_bench.methods.pruning.base import PruningMethod
from rps_bench.methods.pruning.gradients import flat_gradient, layer_weights


@dataclass(frozen=True)
class SynFlow(PruningMethod):
    """Score abs(w_i dR/dw_i), R the sum of outputs of the all-positive network on ones."""

    name: ClassVar[str] = "synflow"
    rounds: int = 100

    def scores(self, model: nn.Module, probe: Probe) -> torch.Tensor:
        """(n,) float64 scores; of the probe only the image shape is used."""
        positive = copy.deepcopy(model).double().eval()
        with torch.no_grad():
            for tensor in (*positive.parameters(), *positive.buffers()):
                tensor.abs_()
        images, _ = probe
        ones = torch.ones_like(images[:1], dtype=torch.float64)
        flow = positive(ones).sum()
        gradient = flat_gradient(flow, layer_weights(positive))
        return (flatten_weights(positive) * gradient).abs()
