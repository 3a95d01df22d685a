"""Which device a run uses."""

import re

import torch

from rps_bench.errors import UserError


def resolve_device(name: str) -> torch.device:
    """The device of a name; ``auto`` is the first GPU if there is one, else the CPU.

    Raises:
        UserError: Not a device's name, or a device that is not there; names those that are.
    """
    present = available_devices()
    if name == "auto":
        return torch.device(present[-1] if len(present) == 1 else present[1])
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in present or not re.fullmatch(r"cpu|mps|cuda:\d+", wanted):
        raise UserError(f"device {name} is not there; allowed here: auto, {', '.join(present)}")
    return torch.device(wanted)


def available_devices() -> list[str]:
    """Names of the devices of this machine, the CPU first."""
    present = ["cpu"]
    present += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        present.append("mps")
    return present
