"""GraSP (Wang, Zhang and Grosse 2020): keep the weights whose removal would cost gradient flow."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.methods.base import Probe
from rps_bench.methods.layout import flatten_weights
from rps_bench.methods.pruning.base import ProbedPruningMethod
from rps_bench.methods.pruning.gradients import (
    flat_gradient,
    layer_weights,
    passes,
    probe_loss_gradient,
)

TEMPERATURE = 200.0  # divides the logits, as the authors do


@dataclass(frozen=True)
class Grasp(ProbedPruningMethod):
    """Score w_i (H g)_i, highest kept: g the gradient over the whole probe, H the Hessian."""

    name: ClassVar[str] = "grasp"

    def scores(self, model: nn.Module, probe: Probe) -> torch.Tensor:
        """(n,) w * (H g), H g by double backward with g held constant."""
        model.train(self.score_mode == "train")
        weights = layer_weights(model)
        gradient = probe_loss_gradient(model, probe, TEMPERATURE)
        product = torch.zeros_like(gradient)
        for images, labels, share in passes(probe):
            loss = F.cross_entropy(model(images) / TEMPERATURE, labels)
            part = flat_gradient(loss, weights, differentiable=True)
            product += share * flat_gradient(part @ gradient, weights)
        return flatten_weights(model) * product
