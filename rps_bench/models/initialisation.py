"""Normal weights, and the standard deviation that a layer's weights start with.

Source of Kaiming's recipe: He et al. 2015 (fan-in, gain sqrt 2), for networks of convolutions and
ReLU.
"""

import math

import torch
from torch import nn

COMPRESSIBLE_TYPES = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    nn.Linear,
)
EMBEDDING_TYPES = (nn.Embedding, nn.EmbeddingBag)
# Of nn.MultiheadAttention, which holds them packed or apart; its output layer is a linear one.
ATTENTION_WEIGHTS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
STANDARD_ERRORS = 6  # by which a measured std may differ from the theoretical one by chance


def fan_in(weight: torch.Tensor) -> int:
    """Inputs that one output of the layer sums over; ``weight`` is (out, in, *kernel)."""
    return weight[0].numel()


def initialise_kaiming(model: nn.Module, generator: torch.Generator | None) -> None:
    """Draw every convolution and linear weight from N(0, 2 / fan_in), biases 0, in module order.

    Each layer keeps the theoretical std as ``layer.init_std`` for methods that scale by it.
    Embeddings and the projections of attention are drawn as PyTorch draws them.
    """
    _initialise(model, generator, 2.0)


def initialise_lecun(model: nn.Module, generator: torch.Generator | None) -> None:
    """Draw in the same way from N(0, 1 / fan_in), for layers that no ReLU follows.

    Source: LeCun et al. 1998, Efficient BackProp.
    """
    _initialise(model, generator, 1.0)


def _initialise(model: nn.Module, generator: torch.Generator | None, gain: float) -> None:
    """Draw weights of variance ``gain / fan_in``."""
    for layer in model.modules():
        _draw_as_pytorch(layer, generator)
        if isinstance(layer, COMPRESSIBLE_TYPES):
            std = math.sqrt(gain / fan_in(layer.weight))
            if not layer.weight.is_meta:  # there PyTorch would import 900 modules to draw nothing
                nn.init.normal_(layer.weight, 0.0, std, generator=generator)
            layer.init_std = std  # type: ignore[assignment]
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


@torch.no_grad()
def _draw_as_pytorch(layer: nn.Module, generator: torch.Generator | None) -> None:
    """Draw an embedding's or an attention's weights of PyTorch's distributions, biases 0."""
    if isinstance(layer, EMBEDDING_TYPES) and not layer.weight.is_meta:
        nn.init.normal_(layer.weight, generator=generator)
        if layer.padding_idx is not None:
            layer.weight[layer.padding_idx] = 0
    if isinstance(layer, nn.MultiheadAttention):
        for name in ATTENTION_WEIGHTS:
            weight = layer._parameters.get(name)
            if weight is not None and not weight.is_meta:
                nn.init.xavier_uniform_(weight, generator=generator)
        if layer.in_proj_bias is not None:
            nn.init.zeros_(layer.in_proj_bias)


def init_std_of(model: nn.Module, name: str) -> float:
    """The std that a weight starts with: its declared or theoretical one, or else what it has.

    A network may draw its weights in its own way. So where they are plainly not of PyTorch's
    default init, the root of their mean square counts; zeros are taken to be of that init.

    Args:
        model: The network.
        name: Of the parameter.
    """
    owner, _, attribute = name.rpartition(".")
    layer, weight = model.get_submodule(owner), model.get_parameter(name).detach()
    declared = getattr(layer, "init_std", None)
    if attribute == "weight" and declared is not None:
        return float(declared)
    expected = theoretical_init_std(layer, attribute)
    if weight.is_meta:
        return expected
    measured = float(weight.double().square().mean().sqrt())
    is_usable = math.isfinite(measured) and measured > 0
    tolerance = STANDARD_ERRORS / math.sqrt(2 * weight.numel())
    return measured if is_usable and abs(measured / expected - 1) > tolerance else expected


def theoretical_init_std(layer: nn.Module, attribute: str = "weight") -> float:
    """The std that PyTorch draws a parameter with, where the layer declares no other.

    That is 1 for embeddings, N(0, 1); sqrt(2 / (in + out)) for the weights of attention, Xavier's
    uniform; and for all others, U(-1/sqrt(fan_in), 1/sqrt(fan_in)), 1 / sqrt(3 fan_in).
    """
    declared = getattr(layer, "init_std", None)
    if attribute == "weight" and declared is not None:
        return float(declared)
    weight = layer.get_parameter(attribute)
    if isinstance(layer, EMBEDDING_TYPES):
        return 1.0
    if attribute in ATTENTION_WEIGHTS and isinstance(layer, nn.MultiheadAttention):
        return math.sqrt(2.0 / sum(weight.shape))
    return 1.0 / math.sqrt(3.0 * fan_in(weight))
