"""Wall seconds of calls; on a GPU a call ends when the GPU has finished."""

import time
from collections.abc import Callable

import torch


def time_calls(
    work: Callable[[], object], device: torch.device, num_calls: int, at_once: int = 1
) -> list[float]:
    """Seconds of each of ``num_calls`` calls, after one that is not counted.

    Args:
        work: What is called.
        device: Where it works.
        num_calls: How many times are returned.
        at_once: Calls that each of these times is the mean of.
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
    """Return when a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
