"""Measurement of one compressed file in a separate process, whose memory nothing else uses."""

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from typing import Any, NamedTuple

import torch
from torch import nn

from rps_bench.costs.latency import measure_latency
from rps_bench.costs.memory import peak_memory_bytes, reset_peak_memory
from rps_bench.inference import preload
from rps_bench.inference.ways import WAYS, check_outputs
from rps_bench.methods.files.read import load_compressed
from rps_bench.runtime.allocator import keep_freed_memory
from rps_bench.runtime.cores import limit_threads
from rps_bench.runtime.devices import use_exact_fp32

NUM_LOADS = 3


class Job(NamedTuple):
    """The measurement that one process makes."""

    path: str  # of the compressed file
    way: str
    device: str
    batches: tuple[int, ...]
    image_size: int
    num_threads: int
    seconds: float


def measure_apart(job: Job) -> list[dict[str, Any]]:
    """The rows of `measure_job`, from a fresh process.

    If the system can fork, the process is forked from a server that has imported everything and
    done nothing else: libraries are neither loaded again nor counted as the network's memory.
    """
    context: BaseContext = get_context("spawn")
    if "forkserver" in get_all_start_methods():
        context = get_context("forkserver")
        context.set_forkserver_preload([__name__, preload.__name__])
    with ProcessPoolExecutor(1, context) as processes:
        return processes.submit(measure_job, job).result()


def measure_job(job: Job) -> list[dict[str, Any]]:
    """Time a file's network on every batch; return a row per batch.

    Everything is done once before it is measured, and the outputs are checked against the dense
    network. Keys: `batch`, `load_ms` (median time from the file to a network that can run),
    `peak_memory_bytes` (memory that the network needs while it runs, beyond that of the process
    before loading; it includes the peak of loading only if the system cannot reset a peak), and
    those of `Latency`.
    """
    device = torch.device(job.device)
    batches = {size: draw_images(size, job.image_size, device) for size in sorted(job.batches)}
    with limit_threads(job.num_threads):
        use_exact_fp32()
        keep_freed_memory()
        _rehearse(job, list(batches.values()))
        reset_peak_memory(device)
        baseline = peak_memory_bytes(device)
        model, load_ms = _load(job)
        return [
            {"batch": size, "load_ms": load_ms} | _measure_batch(job, model, images, baseline)
            for size, images in batches.items()  # ascending: a larger batch leaves memory
        ]


def _rehearse(job: Job, batches: Sequence[torch.Tensor]) -> None:
    """Run and check every batch, so that one-time costs of libraries are not measured."""
    model = _prepare(job)
    dense = load_compressed(job.path).to(job.device).to_dense()
    for images in batches:
        check_outputs(model, dense, images)


def _load(job: Job) -> tuple[nn.Module, float]:
    """The network, ready to run, and the median milliseconds that preparing it takes."""
    times = []
    for _ in range(NUM_LOADS):
        started = time.perf_counter()
        model = _prepare(job)
        times.append(1e3 * (time.perf_counter() - started))
    return model, statistics.median(times)


def _prepare(job: Job) -> nn.Module:
    return WAYS[job.way].prepare(load_compressed(job.path).to(job.device))


def _measure_batch(
    job: Job, model: nn.Module, images: torch.Tensor, baseline: int
) -> dict[str, Any]:
    formats = WAYS[job.way].memory_formats
    reset_peak_memory(images.device)
    latency = measure_latency(model, images, job.num_threads, job.seconds, formats)
    peak = max(0, peak_memory_bytes(images.device) - baseline)
    return {"peak_memory_bytes": peak} | latency._asdict()


def draw_images(batch: int, size: int, device: torch.device) -> torch.Tensor:
    """Noise images (batch, 3, size, size)."""
    generator = torch.Generator().manual_seed(batch)
    return torch.randn(batch, 3, size, size, generator=generator).to(device)
