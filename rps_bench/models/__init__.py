"""Architectures by name: plain modules that know no recipe and no compression."""

import torch

from rps_bench.core.errors import UserError
from rps_bench.core.nearest import unknown_name
from rps_bench.models.base import Network
from rps_bench.models.convnext import ConvNeXtMini
from rps_bench.models.resnet import ResNet20
from rps_bench.models.vgg import VGG11
from rps_bench.models.vit import ViTTiny

ARCHITECTURES: dict[str, type[Network]] = {
    "resnet20": ResNet20,
    "vgg11": VGG11,
    "vit_tiny": ViTTiny,
    "convnext_mini": ConvNeXtMini,
}


def find_architecture(name: str) -> type[Network]:
    """The class of a network.

    Raises:
        UserError: Unknown name.
    """
    if name not in ARCHITECTURES:
        raise unknown_name("architecture", name, ARCHITECTURES)
    return ARCHITECTURES[name]


def build_model(
    name: str,
    num_classes: int = 10,
    width: int | None = None,
    generator: torch.Generator | None = None,
) -> Network:
    """A freshly initialised network.

    Args:
        name: A name of ``ARCHITECTURES``.
        num_classes: Number of logits.
        width: Channels of the first convolution; None for the architecture's own.
        generator: Source of the initial weights; None for PyTorch's global one.

    Raises:
        UserError: Unknown name, or a width or number of classes below 1.
    """
    architecture = find_architecture(name)
    width = architecture.default_width if width is None else width
    if width < 1:
        raise UserError(f"width must be a whole number from 1 up, got {width}")
    if num_classes < 1:
        raise UserError(f"num_classes must be a whole number from 1 up, got {num_classes}")
    return architecture(num_classes, width, generator)
