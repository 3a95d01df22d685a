"""The network of a compressed file: one of this package's, by name, or one that the user passes."""

from typing import Any

import torch
from torch import nn

from rps_bench.methods.layout import layout_of, layout_table
from rps_bench.models import ARCHITECTURES, build_model


def describe_architecture(network: nn.Module) -> dict[str, Any] | None:
    """What builds the network, or one that lacks its weights, again; None if it is a user's own."""
    for name, architecture in ARCHITECTURES.items():
        if type(network) is architecture:
            return {
                "name": name,
                "num_classes": network.num_classes,
                "width": network.width,
            }
    return None


def build_architecture(description: dict[str, Any] | None) -> nn.Module:
    """The network of a description, without storage."""
    if description is None:
        raise ValueError("its network is not one of this package's: pass it as model")
    with torch.device("meta"):
        return build_model(**description)


def own_table(architecture: dict[str, Any] | None) -> list[list[Any]]:
    """The layer table of one of this package's networks; of another one none is known."""
    return [] if architecture is None else layout_table(layout_of(build_architecture(architecture)))
