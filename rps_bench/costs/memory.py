"""Peak memory of a piece of work: of the GPU's allocator, or resident in this process."""

import contextlib
import resource
import sys
from pathlib import Path

import torch

from rps_bench.runtime.allocator import return_freed_memory


def reset_peak_memory(device: torch.device) -> None:
    """Restart the measurement after freeing unused memory, if the system can reset a peak."""
    return_freed_memory()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):  # without this the peak is the whole process's
        Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the resident peak


def peak_memory_bytes(device: torch.device) -> int:
    """The peak since the last reset: of tensors on a GPU, else of the process's resident memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
