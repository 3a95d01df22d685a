"""Wall seconds of calls; on a GPU a call ends when the GPU has finished."""

import time
from collections.abc import Callable

import torch


def time_calls(
    work: Callable[[], object], device: torch.device, num_calls: int, at_once: int = 1
) -> list[float]:
    """The seconds of each of ``num_calls`` calls, after a warm-up call.

    Args:
        work: The function to call.
        device: The device it works on.
        num_calls: Number of times to return.
        at_once: Number of calls over which each time is averaged.
    """
    work()
    return [_time(work, device, at_once) / at_once for _ in range(num_calls)]


def _time(work: Callable[[], object], device: torch.device, count: int) -> float:
    wait_for(device)
    started = time.perf_counter()
    for _ in range(count):
        work()
    wait_for(device)
    return time.perf_counter() - started


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
