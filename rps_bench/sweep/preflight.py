"""Checks that need the model and method classes, before any data is touched."""

from collections.abc import Sequence
from functools import cache

import torch

from rps_bench.config import RunConfig
from rps_bench.core.errors import UserError
from rps_bench.datasets.info import DATASETS
from rps_bench.methods import build_method
from rps_bench.methods.base import Method
from rps_bench.methods.choice import WeightChoice, choose, mark
from rps_bench.methods.layout import Layout, layout_of
from rps_bench.models import build_model, find_architecture
from rps_bench.models.base import Network
from rps_bench.runtime.devices import resolve_device


def check_buildable(configs: Sequence[RunConfig]) -> None:
    """Raise a UserError for the first run whose device, model or method cannot be built.

    Models are built without storage, so this costs milliseconds and no memory.
    """
    for config in configs:
        resolve_device(config.compute.device)
        method = build_method_of(config)
        method.num_stored(find_layout(config, method))
        if method.rewinding is not None:
            num_train = DATASETS[config.dataset].num_train
            steps_per_epoch = config.recipe.steps_per_epoch(num_train)
            method.rewinding.resolve_step(steps_per_epoch * config.recipe.epochs)


def build_method_of(config: RunConfig) -> Method:
    """The method that a run compresses by.

    Raises:
        UserError: An option out of range.
    """
    return build_method(config.method, config.compression, config.seed, **config.method_options)


def find_layout(config: RunConfig, method: Method) -> Layout:
    """The layer table of a run's network, of the weights that its method is to compress.

    Raises:
        UserError: The network cannot be built, the run's images are too small for it, or the method
            finds nothing to compress.
    """
    _check_image_size(config)
    num_classes = DATASETS[config.dataset].num_classes
    return _find_layout(config.arch, num_classes, config.width, method.choice)


def _check_image_size(config: RunConfig) -> None:
    """Raise a UserError if the images of a run are too small for its network."""
    info, architecture = DATASETS[config.dataset], find_architecture(config.arch)
    size, smallest = config.image_size or info.image_size, architecture.smallest_image
    if size >= smallest:
        return
    allowed = [str(size) for size in info.sizes if size >= smallest]
    choices = f"dataset.image_size can be {', '.join(allowed)}" if allowed else "no size of it fits"
    raise UserError(
        f"{config.arch} needs images of {smallest}x{smallest} pixels or more, those of "
        f"{config.dataset} are {size}x{size}; {choices}"
    )


def build_without_storage(arch: str, num_classes: int, width: int | None) -> Network:
    """A network without numbers, for its names and shapes."""
    with torch.device("meta"):
        return build_model(arch, num_classes, width)


@cache  # a sweep has thousands of runs and a handful of networks
def _find_layout(arch: str, num_classes: int, width: int | None, choice: WeightChoice) -> Layout:
    model = build_without_storage(arch, num_classes, width)
    mark(model, choose(model, choice))
    return layout_of(model)
