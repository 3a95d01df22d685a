"""The device of a run: its name resolved, its settings, and memory freed after a run."""

import torch

from rps_bench.core.errors import UserError
from rps_bench.core.nearest import did_you_mean
from rps_bench.runtime.allocator import keep_freed_memory, return_freed_memory


def resolve_device(name: str) -> torch.device:
    """The device that a name stands for; ``auto`` is the first GPU if there is one, else the CPU.

    Raises:
        UserError: Not a device of this machine; the message lists those.
    """
    present = available_devices()
    if name == "auto":
        return torch.device("cuda:0" if "cuda:0" in present else "cpu")
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in present:
        allowed = ["auto", *present]
        # Nobody who asks for a GPU means the CPU, however alike the two words are.
        meant = name.casefold().replace("gpu", "cuda")
        hint = did_you_mean(meant, [*allowed, "cuda"] if "cuda:0" in present else allowed)
        raise UserError(f"device {name} is not there; allowed here: {', '.join(allowed)}{hint}")
    return torch.device(wanted)


def available_devices() -> list[str]:
    """Names of the devices of this machine, the CPU first."""
    return ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]


def prepare_device(device: torch.device) -> None:
    """Set this process up for training on the device, for the rest of its life.

    On a GPU cuDNN picks the fastest algorithm for each shape by timing, unless deterministic
    algorithms are asked for.
    """
    if device.type == "cpu":
        keep_freed_memory()
    if device.type == "cuda":
        use_exact_fp32()
        torch.backends.cudnn.benchmark = not torch.are_deterministic_algorithms_enabled()


def use_exact_fp32() -> None:
    """Compute fp32 in full precision on a GPU, where convolutions otherwise round to TF32."""
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]


def free_memory() -> None:
    """Give memory that is no longer used back to the system and, on a GPU, to other processes."""
    return_freed_memory()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
