"""The peak rates of the machine: multiplying matrices and copying memory."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from rps_bench.runtime.cores import set_threads
from rps_bench.runtime.devices import prepare_device
from scripts.bench.timing import time_calls

NUM_TIMES = 10
MATRIX_SIZE, MATRIX_SIZE_OF_GPU = 2048, 8192  # smaller ones take a GPU too little time to measure
CONVOLUTION = (128, 64, 32, 32)  # images (B, channels, height, width); as many output channels
COPY_BYTES = 256 << 20
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def measure_rates(device_name: str, num_threads: int | None = None) -> dict[str, Any]:
    """The best of ten timings of each rate, with so many threads (None: as many as a run takes).

    ``matrix_flops_per_second`` by precision, of square matrices (fp32 is not rounded to TF32), and
    ``convolution_flops_per_second``, of a 3x3 convolution: on some processors PyTorch's fp32
    convolutions are faster than its matrix products. ``copy_bytes_per_second`` counts each byte
    once as it is read and once as it is written.
    """
    device = torch.device(device_name)
    prepare_device(device)  # as a run does
    set_threads(num_threads)
    is_gpu = device.type == "cuda"
    size, at_once = (MATRIX_SIZE_OF_GPU, 10) if is_gpu else (MATRIX_SIZE, 1)

    def find_rate(num_operations: int, work: Callable[[], object]) -> float:
        return num_operations / min(time_calls(work, device, NUM_TIMES, at_once))

    matrices, convolutions = {}, {}
    for name, dtype in DTYPES.items():
        matrix = torch.randn(size, size, device=device).to(dtype)
        matrices[name] = find_rate(2 * size**3, partial(torch.mm, matrix, matrix))
        images = torch.randn(CONVOLUTION, device=device).to(dtype)
        images = images.contiguous(memory_format=torch.channels_last)
        weight = torch.randn(CONVOLUTION[1], CONVOLUTION[1], 3, 3, device=device).to(dtype)
        num_operations = 2 * weight.numel() * (images.numel() // CONVOLUTION[1])
        work = partial(F.conv2d, images, weight, padding=1)
        convolutions[name] = find_rate(num_operations, work)
    source = torch.zeros(COPY_BYTES, dtype=torch.uint8, device=device)
    target = torch.ones_like(source)
    return {
        "matrix_size": size,
        "matrix_flops_per_second": matrices,
        "convolution_size": list(CONVOLUTION),
        "convolution_flops_per_second": convolutions,
        "copy_size_bytes": COPY_BYTES,
        "copy_bytes_per_second": find_rate(2 * COPY_BYTES, partial(target.copy_, source)),
    }


def keep_best(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The higher value of each rate in two measurements."""
    return {
        key: keep_best(value, second[key])
        if isinstance(value, Mapping)
        else max(value, second[key])
        for key, value in first.items()
    }
