"""Small networks and batches that the methods' tests share."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from rps_bench.methods.base import Probe
from rps_bench.models import build_model


def draw_probe(num_images: int, size: int, num_classes: int = 10) -> Probe:
    """Seeded noise with every class as often."""
    generator = torch.Generator().manual_seed(5)
    images = torch.randn(num_images, 3, size, size, generator=generator)
    return images, torch.arange(num_images) % num_classes


@pytest.fixture(scope="session")
def make_probe() -> Callable[..., Probe]:
    """(number of images, side, number of classes) -> a batch."""
    return draw_probe


@pytest.fixture(scope="session")
def probe() -> Probe:
    """Twenty 8x8 images of ten classes."""
    return draw_probe(20, 8)


@pytest.fixture
def resnet() -> nn.Module:
    """ResNet-20 four channels wide: total 17,534."""
    return build_model("resnet20", 10, 4, torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def make_plain() -> Callable[[], nn.Module]:
    """A user's own network, of PyTorch's init: n = 108 + 160 = 268, without ``init_std``."""

    def make() -> nn.Module:
        torch.manual_seed(2)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.Tanh(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 10),
        )

    return make


@pytest.fixture
def plain(make_plain: Callable[[], nn.Module]) -> nn.Module:
    """One of ``make_plain``."""
    return make_plain()
