"""Derivatives with respect to the flat weights, for the scores that need them."""

import torch
from torch import nn

from rps_bench.methods.base import Probe
from rps_bench.methods.layout import compressible_weights, flatten_weights
from rps_bench.methods.pruning.passes import probe_losses


def layer_weights(model: nn.Module) -> list[torch.Tensor]:
    """The live weight parameters in flat order."""
    return list(compressible_weights(model).values())


def flat_gradient(
    value: torch.Tensor, weights: list[torch.Tensor], differentiable: bool = False
) -> torch.Tensor:
    """(n,) derivative of a scalar, zeros for weights it does not depend on."""
    if not value.requires_grad:  # it depends on none
        return torch.cat([torch.zeros_like(weight).reshape(-1) for weight in weights])
    grads = torch.autograd.grad(
        value, weights, create_graph=differentiable, allow_unused=True, materialize_grads=True
    )
    return torch.cat([grad.reshape(-1) for grad in grads])


def probe_loss_gradient(
    model: nn.Module, probe: Probe, asked_by: str, temperature: float = 1.0
) -> torch.Tensor:
    """(n,) gradient of the mean cross-entropy over the probe, logits divided by a temperature."""
    weights = layer_weights(model)
    gradient = torch.zeros_like(flatten_weights(model))
    for loss, share in probe_losses(model, probe, asked_by, temperature):
        gradient += share * flat_gradient(loss, weights)
    return gradient
