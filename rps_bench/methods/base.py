"""The contract of a compression method: a dense model and a probe in, a CompressedModel out."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from rps_bench import checks
from rps_bench.errors import UserError
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import Layout, num_weights

Probe = tuple[torch.Tensor, torch.Tensor]  # images (B, 3, H, W) float, labels (B,) int64


@dataclass(frozen=True)
class Method(ABC):
    """A method at one compression and seed; a subclass adds its options as fields with defaults.

    Raises:
        UserError: An option or the compression is out of its range.
    """

    name: ClassVar[str]

    compression: float
    seed: int = 0

    def __post_init__(self) -> None:
        checks.compression_ratio(self.compression)

    @abstractmethod
    def compress(self, model: nn.Module, probe: Probe) -> CompressedModel:
        """The compressed network; ``model`` is left untouched.

        Args:
            model: Any module with convolution or linear layers, freshly initialised.
            probe: Normalised images (B, 3, H, W) and labels (B,) to look at before training.

        Raises:
            UserError: The compression leaves no stored value, or too few for the method.
        """

    def num_stored(self, layout: Layout) -> int:
        """m = floor(n / c).

        Raises:
            UserError: m < 1, or too small for the method.
        """
        n = num_weights(layout)
        m = math.floor(n / self.compression)
        if m < 1:
            raise UserError(
                f"compression {self.compression:g} leaves none of {n} weights; "
                f"the largest for this network is {n}"
            )
        return m
