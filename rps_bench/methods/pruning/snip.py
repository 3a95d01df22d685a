"""SNIP (Lee, Ajanthan and Torr 2019): connection sensitivity."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.methods.base import Probe
from rps_bench.methods.layout import flatten_weights
from rps_bench.methods.pruning.base import ProbedPruningMethod
from rps_bench.methods.pruning.gradients import flat_gradient, layer_weights, passes


@dataclass(frozen=True)
class Snip(ProbedPruningMethod):
    """Score abs(w_i dL/dw_i): how much the loss on the probe feels a mask on the weight."""

    name: ClassVar[str] = "snip"

    def scores(self, model: nn.Module, probe: Probe) -> torch.Tensor:
        """(n,) abs(w * dL/dw), L the mean cross-entropy over the probe."""
        model.train(self.score_mode == "train")
        weights = layer_weights(model)
        gradient = torch.zeros_like(flatten_weights(model))
        for images, labels, share in passes(probe):
            gradient += share * flat_gradient(F.cross_entropy(model(images), labels), weights)
        return (flatten_weights(model) * gradient).abs()
