"""Derivatives with respect to the flat weights, for the scores that need them."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.methods.base import Probe
from rps_bench.methods.layout import compressible_layers, flatten_weights, weight_of

PASS_SIZE = 256  # images of the probe in one pass: bounds memory, as the harness behind the paper


def layer_weights(model: nn.Module) -> list[torch.Tensor]:
    """The live weight parameters in flat order."""
    return [weight_of(layer) for _, layer in compressible_layers(model)]


def passes(probe: Probe) -> Iterator[tuple[torch.Tensor, torch.Tensor, float]]:
    """The probe in parts of at most ``PASS_SIZE`` images: (images, labels, share of the probe).

    In train mode each pass is normalised by its own statistics.
    """
    images, labels = probe
    num_passes = -(-len(labels) // PASS_SIZE)
    for part, part_labels in zip(images.chunk(num_passes), labels.chunk(num_passes), strict=True):
        yield part, part_labels, len(part_labels) / len(labels)


def flat_gradient(
    value: torch.Tensor, weights: list[torch.Tensor], differentiable: bool = False
) -> torch.Tensor:
    """(n,) derivative of a scalar, zeros for weights it does not depend on."""
    grads = torch.autograd.grad(
        value, weights, create_graph=differentiable, allow_unused=True, materialize_grads=True
    )
    return torch.cat([grad.reshape(-1) for grad in grads])


def probe_loss_gradient(model: nn.Module, probe: Probe, temperature: float = 1.0) -> torch.Tensor:
    """(n,) gradient of the mean cross-entropy over the probe, logits divided by a temperature."""
    weights = layer_weights(model)
    gradient = torch.zeros_like(flatten_weights(model))
    for images, labels, share in passes(probe):
        loss = F.cross_entropy(model(images) / temperature, labels)
        gradient += share * flat_gradient(loss, weights)
    return gradient
