"""Recover and reduce of the sharing maps as one GPU kernel each, in Triton.

The plain torch code of the maps is their twin: ``expand`` gives the same bits, ``reduce`` the same
sums up to rounding. A map says by its ``kernel`` what it runs here; one that says nothing stays in
plain torch. Triton comes with PyTorch's CUDA builds and is imported when the first CUDA tensor asks
for it, never on a machine without a GPU.
"""

from functools import cache

import torch

from rps_bench.methods.sharing.kernels.layout import Kernel, KernelLayout

DTYPES = (torch.float32, torch.float64)


def can_run(values: torch.Tensor) -> bool:
    """Whether kernels take this tensor: float32 or float64 on a GPU where Triton works.

    Where Triton is missing or broken (no C compiler, a GPU too old) the answer is no, and the maps
    go on in plain torch.
    """
    return values.is_cuda and values.dtype in DTYPES and _triton_works(values.device)


@cache
def _triton_works(device: torch.device) -> bool:
    """Whether kernels compile and start on a device, tried once on a map of one weight."""
    one = KernelLayout(Kernel("hashed_slots"), 1, 1, keys=(0, 0), begins=(0,), scales=(1.0,))
    try:
        expand(one, torch.zeros(1, device=device))
    except Exception:  # whatever is wrong with Triton here: the plain way needs none of it
        return False
    return True


def expand(layout: KernelLayout, stored: torch.Tensor) -> torch.Tensor:
    """A theta, bit for bit that of plain torch: (m,) stored values -> (n,) weights.

    The first call for a map on a device copies its layer table there and compiles. Later ones
    start one kernel on the current stream and wait for nothing, so that a CUDA graph may hold them.
    """
    from rps_bench.methods.sharing.kernels import grid

    return grid.expand(layout, stored)


def reduce(layout: KernelLayout, grad_weights: torch.Tensor) -> torch.Tensor:
    """A' g: (n,) gradient of the weights -> (m,) gradient of the stored values.

    Kernels with a way back from slots to weights sum in a fixed order, the same bits every time.
    The others add with atomics, in any order: `Kernel.may_reduce` says when that is not allowed.
    Else calls are as those of ``expand``.
    """
    from rps_bench.methods.sharing.kernels import grid

    return grid.reduce(layout, grad_weights)
