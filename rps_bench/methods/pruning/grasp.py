"""GraSP (Wang, Zhang and Grosse 2020): keep the weights whose removal would cost gradient flow."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.methods.base import Probe
from rps_bench.methods.layout import flatten_weights
from rps_bench.methods.pruning.base import ProbedPruningMethod
from rps_bench.methods.pruning.conditions import fixed_draws
from rps_bench.methods.pruning.gradients import flat_gradient, layer_weights, probe_loss_gradient
from rps_bench.methods.pruning.passes import probe_losses

TEMPERATURE = 200.0  # divides the logits, as the authors do


@dataclass(frozen=True)
class Grasp(ProbedPruningMethod):
    """Score w_i (H g)_i, highest kept: g the gradient over the whole probe, H the Hessian."""

    name: ClassVar[str] = "grasp"

    def scores(self, model: nn.Module, probe: Probe) -> torch.Tensor:
        """(n,) w * (H g), H g by double backward with g held constant.

        A network that draws, as dropout does, draws the same for g and for H g.
        """
        with self.in_score_mode(model, probe):
            return flatten_weights(model) * self._hessian_product(model, probe)

    def _hessian_product(self, model: nn.Module, probe: Probe) -> torch.Tensor:
        """(n,) H g."""
        weights = layer_weights(model)
        with fixed_draws(model, self.seed):
            gradient = probe_loss_gradient(model, probe, self.name, TEMPERATURE)
        product = torch.zeros_like(gradient)
        with fixed_draws(model, self.seed):
            for loss, share in probe_losses(model, probe, self.name, TEMPERATURE):
                part = flat_gradient(loss, weights, differentiable=True)
                product += share * _second_derivative(part @ gradient, weights)
        return product


def _second_derivative(value: torch.Tensor, weights: list[torch.Tensor]) -> torch.Tensor:
    """(n,) derivative of a number that is made of derivatives.

    Raises:
        UserError: PyTorch has none of an operation of the network.
    """
    try:
        return flat_gradient(value, weights)
    except RuntimeError as error:
        line = str(error).splitlines()[0].rstrip(".")
        if "is not implemented" not in line:
            raise
        raise UserError(
            f"grasp needs second derivatives, and PyTorch lacks one: {line}; choose another "
            "method, or leave dense what it is of (method.exclude)"
        ) from error
