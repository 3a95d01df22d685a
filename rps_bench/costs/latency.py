"""Latency of a network on a batch: median and quartiles of the wall time, after a warm-up."""

import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from rps_bench.runtime.cores import limit_threads

NUM_WARM_UPS = 2
FEWEST_RUNS = 5
MOST_RUNS = 200

# Layouts of a batch (B, 3, H, W) in memory; layers pass the layout on to each other.
MEMORY_FORMATS = {
    "contiguous": torch.contiguous_format,
    "channels_last": torch.channels_last,
}


class Latency(NamedTuple):
    """Milliseconds for one batch: the median and the quartiles of `num_runs` runs."""

    median_ms: float
    low_ms: float
    high_ms: float
    num_runs: int
    num_threads: int
    memory_format: str


def measure_latency(
    model: nn.Module,
    images: torch.Tensor,
    num_threads: int = 1,
    seconds: float = 1.0,
    memory_formats: Sequence[str] = ("contiguous",),
) -> Latency:
    """Time a network's forward pass in inference mode.

    The model is set to evaluation mode. On a GPU, a run ends when the GPU has finished.

    Args:
        model: Any network, on the images' device.
        images: (B, 3, H, W).
        num_threads: CPU threads that torch may use during the measurement.
        seconds: How long runs are repeated: at least `FEWEST_RUNS`, at most `MOST_RUNS` times.
        memory_formats: Names of `MEMORY_FORMATS`; of several, the one that is faster in the warm-up
            is measured, as that depends on widths and batch.
    """
    model.eval()
    with limit_threads(num_threads), torch.inference_mode():
        # The memory format is chosen by warm-up runs, which are not part of the measurement.
        warm_ups = {}
        for name in memory_formats:
            laid = images.contiguous(memory_format=MEMORY_FORMATS[name])
            warm_ups[name] = min(_time_run(model, laid) for _ in range(NUM_WARM_UPS))
        fastest = min(warm_ups, key=warm_ups.__getitem__)
        laid = images.contiguous(memory_format=MEMORY_FORMATS[fastest])
        times = _time_runs(model, laid, seconds)
    low, median, high = statistics.quantiles(times, n=4, method="inclusive")
    return Latency(median, low, high, len(times), num_threads, fastest)


def _time_runs(model: nn.Module, images: torch.Tensor, seconds: float) -> list[float]:
    """The milliseconds of each run."""
    times: list[float] = []
    ends = time.perf_counter() + seconds
    while len(times) < FEWEST_RUNS or (len(times) < MOST_RUNS and time.perf_counter() < ends):
        times.append(_time_run(model, images))
    return times


def _time_run(model: nn.Module, images: torch.Tensor) -> float:
    """The milliseconds of one run."""
    _finish(images.device)
    started = time.perf_counter()
    model(images)
    _finish(images.device)
    return 1e3 * (time.perf_counter() - started)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
