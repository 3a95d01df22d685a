"""What the machine can do at best: multiply matrices and copy memory."""

from collections.abc import Mapping
from typing import Any

import torch

from scripts.bench.timing import time_calls

NUM_TIMES = 10
MATRIX_SIZE, MATRIX_SIZE_OF_GPU = 2048, 8192  # a GPU is done with less too soon to be timed
COPY_BYTES = 256 << 20
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def measure_rates(device_name: str) -> dict[str, Any]:
    """The best of ten times each.

    ``matrix_flops_per_second`` by precision, of square matrices (fp32 is not rounded to TF32);
    ``copy_bytes_per_second`` counts each byte once as it is read and once as it is written.
    """
    device = torch.device(device_name)
    is_gpu = device.type == "cuda"
    size, at_once = (MATRIX_SIZE_OF_GPU, 10) if is_gpu else (MATRIX_SIZE, 1)
    best = {}
    for name, dtype in DTYPES.items():
        matrix = torch.randn(size, size, device=device).to(dtype)
        result = torch.empty_like(matrix)
        times = time_calls(_multiplication(matrix, result), device, NUM_TIMES, at_once)
        best[name] = 2 * size**3 / min(times)
    source = torch.zeros(COPY_BYTES, dtype=torch.uint8, device=device)
    target = torch.ones_like(source)
    seconds = min(time_calls(lambda: target.copy_(source), device, NUM_TIMES, at_once))
    return {
        "matrix_size": size,
        "matrix_flops_per_second": best,
        "copy_size_bytes": COPY_BYTES,
        "copy_bytes_per_second": 2 * COPY_BYTES / seconds,
    }


def keep_best(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The higher one of each rate of two measurements."""
    flops = "matrix_flops_per_second"
    copies = "copy_bytes_per_second"
    best = {name: max(rate, second[flops][name]) for name, rate in first[flops].items()}
    return {**first, flops: best, copies: max(first[copies], second[copies])}


def _multiplication(matrix: torch.Tensor, result: torch.Tensor) -> Any:
    return lambda: torch.mm(matrix, matrix, out=result)
