"""Lanes of a device: where runs that train at once queue their work, and how many have room.

On a GPU a lane is a CUDA stream, so that the work of several runs overlaps. On a CPU nothing does.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch

from rps_bench.devices import free_memory
from rps_bench.turns import Lane

MOST_FOUND = 16  # runs at once that are found to fit; more can be asked for
# Of what is free. A run takes more later on: it captures a second step, of the smaller last batch
# of an epoch, and evaluates. Other methods may take more than the run that was measured.
MEMORY_SHARE = 0.5


def make_lane(device: torch.device) -> Lane:
    """A lane of its own on the device; it begins after all that was queued so far."""
    if device.type != "cuda":
        return nullcontext
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    return partial(torch.cuda.stream, stream)


def size_finder(
    population: int | None, num_runs: int, device: torch.device, shared_bytes: Callable[[], int]
) -> Callable[[], int]:
    """Tells how many runs to do at once, when the first of them has begun to train.

    Args:
        population: So many; None: by the memory of the GPU.
        num_runs: There are no more.
        device: Of all of them.
        shared_bytes: Tells how much of its memory they share.
    """
    if population is not None:
        return lambda: population
    return partial(MemoryGauge(device, shared_bytes).count, num_runs)


class MemoryGauge:
    """How many runs fit beside the first of them, by the memory of a GPU that it has taken.

    Make it before the run starts.

    Args:
        device: The GPU.
        shared_bytes: Tells how much of it all runs share.
    """

    def __init__(self, device: torch.device, shared_bytes: Callable[[], int]) -> None:
        free_memory()
        # Before that there are no numbers to set back.
        torch.cuda.init()  # type: ignore[no-untyped-call]
        self._device, self._shared_bytes = device, shared_bytes
        self._before = torch.cuda.memory_reserved(device)
        torch.cuda.reset_peak_memory_stats(device)

    def count(self, num_runs: int) -> int:
        """How many of ``num_runs`` at once, the first included.

        What PyTorch keeps of freed memory counts as taken: a stream's goes to no other stream.
        """
        taken = torch.cuda.max_memory_reserved(self._device) - self._before - self._shared_bytes()
        free, _ = torch.cuda.mem_get_info(self._device)
        return count_fitting(free, taken, num_runs)


def count_fitting(free_bytes: int, bytes_of_one: int, num_runs: int) -> int:
    """How many of ``num_runs`` fit, where one is at work and this much is free beside it."""
    beside = int(MEMORY_SHARE * free_bytes) // max(1, bytes_of_one)
    return max(1, min(num_runs, beside + 1, MOST_FOUND))
