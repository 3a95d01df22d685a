"""Which device a run uses, and memory that a run leaves."""

import torch

from rps_bench.errors import UserError
from rps_bench.heap import keep_freed_memory, return_freed_memory
from rps_bench.nearest import did_you_mean


def resolve_device(name: str) -> torch.device:
    """The device of a name; ``auto`` is the first GPU if there is one, else the CPU.

    Raises:
        UserError: Not a device's name, or a device that is not there; names those that are.
    """
    present = available_devices()
    if name == "auto":
        return torch.device("cuda:0" if "cuda:0" in present else "cpu")
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in present:
        allowed = ["auto", *present]
        hint = did_you_mean(name, allowed)
        raise UserError(f"device {name} is not there; allowed here: {', '.join(allowed)}{hint}")
    return torch.device(wanted)


def available_devices() -> list[str]:
    """Names of the devices of this machine, the CPU first."""
    return ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]


def prepare_device(device: torch.device) -> None:
    """Set this process up for training there, for as long as it lives.

    On a GPU, where repeatable algorithms are not asked for, the fastest for each shape is found by
    timing.
    """
    if device.type == "cpu":
        keep_freed_memory()
    if device.type == "cuda":
        use_exact_fp32()
        torch.backends.cudnn.benchmark = not torch.are_deterministic_algorithms_enabled()


def use_exact_fp32() -> None:
    """Let fp32 be fp32 on a GPU, whose convolutions round to TF32 unless told otherwise."""
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]


def free_memory() -> None:
    """Give back what nothing uses any more: other processes get what this one kept."""
    return_freed_memory()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
