"""Starting the kernels: what each map runs, its tables on the device, and the grids."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import triton

from rps_bench.methods.sharing.kernels import slots
from rps_bench.methods.sharing.kernels.products import (
    expand_kernel,
    gather_kernel,
    scatter_kernel,
)

if TYPE_CHECKING:
    from rps_bench.methods.sharing.sharing_map import SharingMap

MANY_PROGRAMS = 1024  # more fill no GPU better; parts beyond them only cost a longer second sum
LANES_PER_WARP = 128  # four per thread: independent work that hides the wait for memory


@dataclass(frozen=True)
class Kind:
    """What a kind of map runs.

    Attributes:
        slots_of: From weights to slots.
        offsets_of: From slots to weights, fold by fold; None where there is no way back.
        num_lanes: Weights of a program.
    """

    slots_of: Any
    offsets_of: Any = None
    num_lanes: int = 512


KINDS = {
    "randomfold": Kind(slots.randomfold_slots, slots.randomfold_offsets),
    # One warp, which waits for the walks of fewer lanes.
    "balanced": Kind(slots.balanced_slots, slots.balanced_offsets, LANES_PER_WARP),
    "hashed": Kind(slots.hashed_slots),
    "tiled": Kind(slots.tiled_slots),
}


def expand(weight_map: "SharingMap", stored: torch.Tensor) -> torch.Tensor:
    """A theta: (m,) -> (n,)."""
    kind, stored = KINDS[weight_map.kind], stored.contiguous()
    weights = stored.new_empty(weight_map.num_weights)
    _run_on_weights(expand_kernel, kind, weight_map, stored, weights)
    return weights


def reduce(weight_map: "SharingMap", grad_weights: torch.Tensor) -> torch.Tensor:
    """A' g: (n,) -> (m,)."""
    kind, grad_weights = KINDS[weight_map.kind], grad_weights.contiguous()
    if kind.offsets_of is not None:
        return _gather(kind, weight_map, grad_weights)
    if torch.are_deterministic_algorithms_enabled():
        return weight_map.reduce_in_torch(grad_weights)
    sums = grad_weights.new_zeros(weight_map.num_stored)
    _run_on_weights(scatter_kernel, kind, weight_map, grad_weights, sums)
    return sums


def _run_on_weights(
    kernel: Any, kind: Kind, weight_map: "SharingMap", source: torch.Tensor, target: torch.Tensor
) -> None:
    """Start a kernel of which each program takes ``num_lanes`` weights."""
    with torch.cuda.device(source.get_device()):
        kernel[(triton.cdiv(weight_map.num_weights, kind.num_lanes),)](
            source,
            target,
            *_tables(weight_map, source),
            *_constants(weight_map),
            kind.slots_of,
            num_words=kind.num_lanes // 64,
            num_warps=kind.num_lanes // LANES_PER_WARP,
            enable_fp_fusion=False,
        )


def _gather(kind: Kind, weight_map: "SharingMap", grad_weights: torch.Tensor) -> torch.Tensor:
    """Sums over parts of the folds, each slot on its own, then over the parts."""
    m = weight_map.num_stored
    folds_in_all = triton.cdiv(weight_map.num_weights, m)
    num_slots = min(triton.next_power_of_2(m), kind.num_lanes // 2)
    num_folds = min(triton.next_power_of_2(folds_in_all), kind.num_lanes // num_slots)
    blocks, steps = triton.cdiv(m, num_slots), triton.cdiv(folds_in_all, num_folds)
    steps_per_part = triton.cdiv(steps, max(1, MANY_PROGRAMS // blocks))
    parts = triton.cdiv(steps, steps_per_part)
    sums = grad_weights.new_empty(parts, m)
    with torch.cuda.device(grad_weights.get_device()):
        gather_kernel[(blocks, parts)](
            grad_weights,
            sums,
            *_tables(weight_map, grad_weights),
            *_constants(weight_map),
            kind.offsets_of,
            folds_per_part=steps_per_part * num_folds,
            num_folds=num_folds,
            num_slots=num_slots,
            num_warps=triton.cdiv(num_folds * num_slots, LANES_PER_WARP),
            enable_fp_fusion=False,  # each product rounded, as in torch; defaults differ by version
        )
    return sums.sum(0) if parts > 1 else sums[0]


def _constants(weight_map: "SharingMap") -> tuple[int, int, int, int]:
    """n, m, number of layers, and the map's own."""
    n, m = weight_map.num_weights, weight_map.num_stored
    return n, m, len(weight_map.layout), weight_map.kernel_constant()


def _tables(weight_map: "SharingMap", like: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Keys (2,), layers (rows, L) and scales (L,), made once for a map, a device and a dtype.

    Scales are rounded to the dtype of the values, as torch rounds a number that it multiplies by.
    """
    place = (like.device, like.dtype)
    if place not in weight_map.kernel_tables:
        begins = [begin for begin, _ in weight_map.ranges]
        weight_map.kernel_tables[place] = (
            torch.tensor([weight_map.key("slot"), weight_map.key("sign")], device=like.device),
            torch.tensor([begins, *weight_map.kernel_rows()], device=like.device),
            torch.tensor(weight_map.scales, dtype=like.dtype, device=like.device),
        )
    return weight_map.kernel_tables[place]
