"""Checks that need the model and method classes, before any data is touched."""

from collections.abc import Sequence

import torch

from rps_bench.config import RunConfig
from rps_bench.datasets.info import DATASETS
from rps_bench.devices import resolve_device
from rps_bench.methods import build_method
from rps_bench.methods.layout import layout_of
from rps_bench.models import build_model


def check_buildable(configs: Sequence[RunConfig]) -> None:
    """Raise a UserError for the first run whose device, model or method cannot be built.

    Models are built without storage, so this costs milliseconds and no memory.
    """
    for config in configs:
        resolve_device(config.device)
        with torch.device("meta"):
            model = build_model(config.arch, DATASETS[config.dataset].num_classes, config.width)
        method = build_method(
            config.method, config.compression, config.seed, **config.method_options
        )
        method.num_stored(layout_of(model))
        if method.rewinding is not None:
            num_train = DATASETS[config.dataset].num_train
            steps_per_epoch = config.recipe.steps_per_epoch(num_train)
            method.rewinding.resolve_step(steps_per_epoch * config.recipe.epochs)
