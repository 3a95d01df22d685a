"""Small networks under methods, for the cost tests."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from rps_bench.methods import build_method
from rps_bench.methods.compressed import CompressedModel
from rps_bench.models import build_model


@pytest.fixture(scope="session")
def make_network() -> Callable[..., nn.Module]:
    """A seeded network of an architecture."""

    def make(arch: str = "resnet20", width: int | None = 4, num_classes: int = 10) -> nn.Module:
        return build_model(arch, num_classes, width, torch.Generator().manual_seed(1))

    return make


@pytest.fixture(scope="session")
def compress() -> Callable[..., CompressedModel]:
    """A network under a method, with a probe of twenty 8x8 noise images."""

    def make(
        model: nn.Module, name: str, compression: float = 10, **options: Any
    ) -> CompressedModel:
        images = torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(5))
        probe = (images, torch.arange(20) % 10)
        return build_method(name, compression, seed=0, **options).compress(model, probe)

    return make
