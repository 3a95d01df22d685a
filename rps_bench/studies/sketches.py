"""Sketches A'x: vectors of n numbers reduced to m numbers by a linear map w = A theta.

A model that applies weights A theta to features x applies theta to A'x: (A theta)'x = theta'(A'x).
Compressing weights is the same as compressing features.
"""

import torch

from rps_bench.methods.weight_map import WeightMap


def compress_rows(weight_map: WeightMap, rows: torch.Tensor) -> torch.Tensor:
    """The rows A'x (N, m) of rows x (N, n), in their dtype."""
    coefficients, slots = weight_map.coefficients().to(rows.dtype), weight_map.slots()
    kept = slots >= 0
    columns = (rows * coefficients).T[kept]  # (kept, N): contiguous, so that sums are fast
    sums = rows.new_zeros(weight_map.num_stored, len(rows))
    return sums.index_add_(0, slots[kept], columns).T
