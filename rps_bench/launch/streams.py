"""Lanes of a device: where runs that train at once queue their work, and how many runs fit.

On a GPU a lane is a CUDA stream, so that the work of several runs overlaps. On a CPU a lane does
nothing.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch

from rps_bench.runtime.devices import free_memory
from rps_bench.runtime.turns import Lane

MOST_FOUND = 16  # the most runs at once that are chosen by memory; users may ask for more
# Of the free memory, the part that is planned with. A run takes more later on: it captures a second
# step, for the smaller last batch of an epoch, and evaluates. Other methods may take more than the
# run that was measured.
MEMORY_SHARE = 0.5


def make_lane(device: torch.device) -> Lane:
    """A new lane of the device; its work begins after all that was queued so far."""
    if device.type != "cuda":
        return nullcontext
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    return partial(torch.cuda.stream, stream)


def size_finder(
    num_at_once: int | None, num_runs: int, device: torch.device, shared_bytes: Callable[[], int]
) -> Callable[[], int]:
    """A function that tells, once the first run has begun to train, how many to train at once.

    Args:
        num_at_once: The number, if it is given; None: chosen by the memory of the GPU.
        num_runs: How many runs there are.
        device: The device that all of them use.
        shared_bytes: Tells how many bytes of its memory all runs share.
    """
    if num_at_once is not None:
        return lambda: num_at_once
    return partial(MemoryGauge(device, shared_bytes).count, num_runs)


class MemoryGauge:
    """A gauge of how many runs fit on a GPU, by the memory that the first of them takes.

    Create it before the first run starts.

    Args:
        device: The GPU.
        shared_bytes: Tells how many bytes of its memory all runs share.
    """

    def __init__(self, device: torch.device, shared_bytes: Callable[[], int]) -> None:
        free_memory()
        # There are no statistics to reset before CUDA is initialised.
        torch.cuda.init()  # type: ignore[no-untyped-call]
        self._device, self._shared_bytes = device, shared_bytes
        self._before = torch.cuda.memory_reserved(device)
        torch.cuda.reset_peak_memory_stats(device)

    def count(self, num_runs: int) -> int:
        """How many of ``num_runs`` may train at once, the first included.

        Freed memory that PyTorch caches counts as taken: one stream's cache serves no other stream.
        """
        taken = torch.cuda.max_memory_reserved(self._device) - self._before - self._shared_bytes()
        free, _ = torch.cuda.mem_get_info(self._device)
        return count_fitting(free, taken, num_runs)


def count_fitting(free_bytes: int, bytes_of_one: int, num_runs: int) -> int:
    """How many of ``num_runs`` fit, if one runs already and this much memory is free besides."""
    beside = int(MEMORY_SHARE * free_bytes) // max(1, bytes_of_one)
    return max(1, min(num_runs, beside + 1, MOST_FOUND))
