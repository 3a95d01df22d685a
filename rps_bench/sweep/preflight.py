"""Checks that need the model and method classes, before any data is touched."""

from collections.abc import Sequence
from functools import cache

import torch

from rps_bench.config import RunConfig
from rps_bench.datasets.info import DATASETS
from rps_bench.methods import build_method
from rps_bench.methods.layout import Layout, layout_of
from rps_bench.models import build_model
from rps_bench.runtime.devices import resolve_device


def check_buildable(configs: Sequence[RunConfig]) -> None:
    """Raise a UserError for the first run whose device, model or method cannot be built.

    Models are built without storage, so this costs milliseconds and no memory.
    """
    for config in configs:
        resolve_device(config.compute.device)
        method = build_method(
            config.method, config.compression, config.seed, **config.method_options
        )
        num_classes = DATASETS[config.dataset].num_classes
        method.num_stored(find_layout(config.arch, num_classes, config.width))
        if method.rewinding is not None:
            num_train = DATASETS[config.dataset].num_train
            steps_per_epoch = config.recipe.steps_per_epoch(num_train)
            method.rewinding.resolve_step(steps_per_epoch * config.recipe.epochs)


@cache
def find_layout(arch: str, num_classes: int, width: int | None) -> Layout:
    """The layer table of a network; a sweep has thousands of runs and a handful of networks."""
    with torch.device("meta"):
        return layout_of(build_model(arch, num_classes, width))
