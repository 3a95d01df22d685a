"""The time of recovering weights and of reducing their gradient, for every map.

Both are compared with copying n floats and with a dense training step, measured in the same
process: ratios carry over to other machines better than milliseconds.
"""

import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from rps_bench.methods import build_method, methods_of
from rps_bench.runtime.devices import prepare_device
from rps_bench.training.loop import Trainer, Training
from scripts.bench.subject import (
    BATCH_SIZE,
    SEED,
    build_network,
    draw_images,
    make_probe,
    make_recipe,
)
from scripts.bench.timing import time_calls

NUM_STEPS = 5  # of dense training, after one warm-up step
PRUNING = "mag"  # stands for all pruning methods, which have the same kind of map


class RecoveryJob(NamedTuple):
    """The network and maps to measure, and the number of repeats."""

    arch: str
    width: int | None
    compression: float
    device: str
    precision: str
    repeats: int


def list_maps() -> list[str]:
    """The methods whose maps are measured: all sharing methods and one pruning method."""
    return [*methods_of("sharing"), PRUNING]


def measure_recovery(job: RecoveryJob) -> dict[str, Any]:
    """The median seconds of both directions of every map, of a copy, and of a dense step."""
    device = torch.device(job.device)
    prepare_device(device)
    model, probe = build_network(job.arch, job.width).to(device), make_probe(device)

    def median(work: Callable[[], object], num_calls: int) -> float:
        return statistics.median(time_calls(work, device, num_calls))

    dense = build_method("dense", 1).compress(model, probe)
    weights = dense.weights().detach().clone()
    images = draw_images(BATCH_SIZE).to(device)
    trainer = Trainer(dense, Training(images, make_recipe(1), SEED, job.precision))
    trainer.model.train()
    batch = probe[0].contiguous(memory_format=torch.channels_last), probe[1]
    step = median(lambda: trainer.train_step(*batch), NUM_STEPS)
    target = torch.empty_like(weights)
    copy = median(lambda: target.copy_(weights), job.repeats)

    maps: dict[str, Any] = {}
    for name in list_maps():
        compressed = build_method(name, job.compression, SEED).compress(model, probe)
        weight_map, stored = compressed.weight_map, compressed.stored.detach()
        directions: dict[str, Callable[[], object]] = {
            "recover": lambda: weight_map.expand(stored),  # noqa: B023
            "send_back": lambda: weight_map.reduce(weights),  # noqa: B023
        }
        maps[name] = {}
        for direction, work in directions.items():
            seconds = median(work, job.repeats)
            maps[name][direction] = {
                "seconds": seconds,
                "per_copy": seconds / copy,
                "percent_of_step": 100 * seconds / step,
            }
    return {
        "arch": job.arch,
        "compression": job.compression,
        "num_weights": weights.numel(),
        "copy_seconds": copy,
        "dense_step_seconds": step,
        "dense_step_precision": job.precision,
        "maps": maps,
    }
