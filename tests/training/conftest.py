"""Small datasets, networks and recipes that the training tests share."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from rps_bench.datasets import DATASETS, load_dataset
from rps_bench.datasets.base import Dataset, Split
from rps_bench.methods import build_method
from rps_bench.methods.compressed import CompressedModel
from rps_bench.models import build_model
from rps_bench.training.recipe import Recipe


@pytest.fixture(scope="session")
def make_recipe() -> Callable[..., Recipe]:
    """A valid recipe with some values changed."""

    def make(**changes: Any) -> Recipe:
        values: dict[str, Any] = {
            "name": "test",
            "epochs": 2,
            "batch_size": 8,
            "lr": 0.05,
            "momentum": 0.9,
            "nesterov": False,
            "weight_decay": 1e-4,
            "schedule": "one_cycle",
            "drops": (),
            "factor": 0.1,
        }
        return Recipe(**(values | changes))

    return make


@pytest.fixture(scope="session")
def make_dataset() -> Callable[..., Dataset]:
    """Seeded noise images of ten classes with CIFAR-10's normalisation (its channels differ)."""

    def make(num_train: int = 37, num_test: int = 23, size: int = 8, flip: bool = True) -> Dataset:
        generator = torch.Generator().manual_seed(11)

        def split(count: int) -> Split:
            shape = (count, 3, size, size)
            images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
            return Split(images, torch.arange(count) % 10)

        info = replace(DATASETS["cifar10"], image_size=size, flip=flip)
        return Dataset(info, split(num_train), split(num_test))

    return make


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """The first 100 training and 50 test digits at 16x16."""
    whole = load_dataset("digits")
    info = replace(whole.info, image_size=16)

    def part(split: Split, count: int) -> Split:
        return Split(split.images[:count, :, ::2, ::2].contiguous(), split.labels[:count])

    return Dataset(info, part(whole.train, 100), part(whole.test, 50))


@pytest.fixture(scope="session")
def compress() -> Callable[..., CompressedModel]:
    """A ResNet-20 (four channels wide, seed 3, unless told) under a method."""

    def make(
        name: str,
        compression: float = 10,
        dtype: torch.dtype = torch.float32,
        width: int = 4,
        **options: Any,
    ) -> CompressedModel:
        model = build_model("resnet20", 10, width, torch.Generator().manual_seed(3)).to(dtype)
        images = torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(5)).to(dtype)
        probe = (images, torch.arange(20) % 10)
        return build_method(name, compression, seed=0, **options).compress(model, probe)

    return make
