"""Numbers of a map that are there on each device where it is used."""

from typing import Any

import torch


class PlacedNumbers:
    """A tensor that does not change, and its copies on the devices that asked for it.

    No buffer of the map: these numbers are what the map is, not values to average, copy or leave
    empty.
    """

    def __init__(self, numbers: torch.Tensor) -> None:
        self._numbers = {numbers.device: numbers, torch.device("cpu"): numbers.cpu()}

    def on(self, device: torch.device) -> torch.Tensor:
        """The numbers on a device."""
        if device not in self._numbers:
            self._numbers[device] = self._numbers[torch.device("cpu")].to(device)
        return self._numbers[device]

    def __getstate__(self) -> dict[str, Any]:
        """Of a copy or a pickle: the numbers on the CPU, wherever it will be read."""
        cpu = torch.device("cpu")
        return {"_numbers": {cpu: self._numbers[cpu]}}
