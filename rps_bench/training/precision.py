"""Which arithmetic the forward and backward passes use. Parameters and updates are always fp32."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

from rps_bench.core import checks
from rps_bench.training.recipe import PRECISIONS


def resolve_precision(requested: str, device: torch.device) -> str:
    """``fp32`` or ``bf16``; ``auto`` takes bf16 only where the hardware has it natively."""
    checks.choice("precision", requested, PRECISIONS)
    if requested != "auto":
        return requested
    return "bf16" if _has_native_bf16(device) else "fp32"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context of a pass at this precision."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _has_native_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and _cpu_has_native_bf16()


def _cpu_has_native_bf16() -> bool:
    """Whether the processor multiplies bf16 itself (AVX-512 BF16 or AMX; known on Linux only)."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
