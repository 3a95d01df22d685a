"""Starting the kernels: a map's functions, its tables on the device, and the grids."""

from typing import Any

import torch
import triton

from rps_bench.methods.sharing.kernels import slots
from rps_bench.methods.sharing.kernels.layout import KernelLayout
from rps_bench.methods.sharing.kernels.products import (
    expand_kernel,
    gather_kernel,
    scatter_kernel,
)

MANY_PROGRAMS = 1024  # more fill no GPU better; parts beyond them only cost a longer second sum
LANES_PER_WARP = 128  # four per thread: independent work that hides the wait for memory


def expand(layout: KernelLayout, stored: torch.Tensor) -> torch.Tensor:
    """A theta: (m,) -> (n,)."""
    # Kernels count elements from the first one on: strides would be read as if there were none.
    stored = stored.contiguous()
    weights = stored.new_empty(layout.num_weights)
    _run_on_weights(expand_kernel, layout, stored, weights)
    return weights


def reduce(layout: KernelLayout, grad_weights: torch.Tensor) -> torch.Tensor:
    """A' g: (n,) -> (m,)."""
    grad_weights = grad_weights.contiguous()
    if layout.kernel.offsets is not None:
        return _gather(getattr(slots, layout.kernel.offsets), layout, grad_weights)
    sums = grad_weights.new_zeros(layout.num_stored)
    _run_on_weights(scatter_kernel, layout, grad_weights, sums)
    return sums


def _run_on_weights(
    kernel: Any, layout: KernelLayout, source: torch.Tensor, target: torch.Tensor
) -> None:
    """Start a kernel of which each program takes ``num_lanes`` weights."""
    num_lanes = layout.kernel.num_lanes
    # Triton starts kernels on the current GPU, which need not be the one that holds the tensors.
    with torch.cuda.device(source.get_device()):
        kernel[(triton.cdiv(layout.num_weights, num_lanes),)](
            source,
            target,
            *_tables(layout, source),
            *_constants(layout),
            getattr(slots, layout.kernel.slots),
            num_words=num_lanes // 64,  # of sign bits: one hash serves 64 weights
            num_warps=num_lanes // LANES_PER_WARP,
            enable_fp_fusion=False,  # each product rounded, as in torch; defaults differ by version
        )


def _gather(offsets_of: Any, layout: KernelLayout, grad_weights: torch.Tensor) -> torch.Tensor:
    """Sums over parts of the folds, each slot on its own, then over the parts."""
    m, num_lanes = layout.num_stored, layout.kernel.num_lanes
    folds_in_all = triton.cdiv(layout.num_weights, m)
    # A program's lanes are slots x folds: at most half of them slots, which leaves room for two
    # folds at a time; where m is small, few slots leave room for many.
    num_slots = min(triton.next_power_of_2(m), num_lanes // 2)
    num_folds = min(triton.next_power_of_2(folds_in_all), num_lanes // num_slots)
    # At a high compression the slots alone give too few programs to fill a GPU. Then the folds are
    # cut in parts, too, whose sums are added at the end: in a fixed order, unlike atomics.
    blocks, steps = triton.cdiv(m, num_slots), triton.cdiv(folds_in_all, num_folds)
    steps_per_part = triton.cdiv(steps, max(1, MANY_PROGRAMS // blocks))
    parts = triton.cdiv(steps, steps_per_part)
    sums = grad_weights.new_empty(parts, m)
    with torch.cuda.device(grad_weights.get_device()):
        gather_kernel[(blocks, parts)](
            grad_weights,
            sums,
            *_tables(layout, grad_weights),
            *_constants(layout),
            offsets_of,
            folds_per_part=steps_per_part * num_folds,
            num_folds=num_folds,
            num_slots=num_slots,
            num_warps=triton.cdiv(num_folds * num_slots, LANES_PER_WARP),
            enable_fp_fusion=False,
        )
    return sums.sum(0) if parts > 1 else sums[0]


def _constants(layout: KernelLayout) -> tuple[int, int, int, int]:
    """n, m, number of layers, and the map's own."""
    return layout.num_weights, layout.num_stored, len(layout.begins), layout.constant


def _tables(layout: KernelLayout, like: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Keys (2,), layers (rows, L) and scales (L,), made once for a map, a device and a dtype.

    Scales are rounded to the dtype of the values, as torch rounds a number that it multiplies by.
    """
    place = (like.device, like.dtype)
    if place not in layout.tables:
        layout.tables[place] = (
            torch.tensor(layout.keys, device=like.device),
            torch.tensor([layout.begins, *layout.rows], device=like.device),
            torch.tensor(layout.scales, dtype=like.dtype, device=like.device),
        )
    return layout.tables[place]
