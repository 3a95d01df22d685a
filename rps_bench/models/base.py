"""The contract of an architecture: what the rest of the package asks of a network by name."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import torch
from torch import nn


class Network(nn.Module, ABC):
    """A network for any number of classes that can be built wider or narrower.

    A subclass sets ``default_width`` and builds its layers in ``__init__``, all of whose channel
    counts grow with the width and all of whose weights are drawn from the generator
    (``initialise_kaiming`` does that).

    Attributes:
        default_width: The width that is built where none is asked for.
        smallest_image: The least height and width of its input, in pixels.
        num_classes: Number of logits.
        width: Channels of the first convolution.
    """

    default_width: ClassVar[int]
    smallest_image: ClassVar[int] = 1

    @abstractmethod
    def __init__(
        self, num_classes: int, width: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.num_classes, self.width = num_classes, width

    def narrowed(self, width: int, generator: torch.Generator | None = None) -> Self:
        """A freshly initialised network of the same kind with another width."""
        return type(self)(self.num_classes, width, generator)
