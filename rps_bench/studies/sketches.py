"""A'x: what a linear map w = A theta leaves of vectors of n numbers, m numbers each.

A model that reads features x through weights A theta reads A'x through theta: (A theta)'x =
theta'(A'x). Compressing weights and compressing features are the same thing.
"""

import torch

from rps_bench.methods.weight_map import WeightMap


def compress_rows(weight_map: WeightMap, rows: torch.Tensor) -> torch.Tensor:
    """(N, n) rows x -> (N, m) rows A'x, in the dtype of the rows."""
    coefficients, slots = weight_map.coefficients().to(rows.dtype), weight_map.slots()
    kept = slots >= 0
    columns = (rows * coefficients).T[kept]  # (weights kept, N): sums over whole memory lines
    sums = rows.new_zeros(weight_map.num_stored, len(rows))
    return sums.index_add_(0, slots[kept], columns).T
