"""The controls that share nothing and prune nothing: the dense network and narrower ones."""

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.core.kinds import Kind
from rps_bench.core.seeds import named_generator
from rps_bench.methods.base import Method, Probe
from rps_bench.methods.choice import chosen_names, mark
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import count_parameters, flatten_weights
from rps_bench.methods.selection import store_everything


@dataclass(frozen=True)
class Dense(Method):
    """The uncompressed control."""

    name: ClassVar[str] = "dense"
    kind: ClassVar[Kind] = "dense"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.compression != 1:
            raise UserError(f"dense has compression 1 only, got {self.compression:g}")

    def _compress(self, model: nn.Module, probe: Probe) -> CompressedModel:
        """The network itself."""
        return store_everything(model)


@runtime_checkable
class Narrowable(Protocol):
    """A network that can be built again with another width."""

    width: int

    def narrowed(self, width: int, generator: torch.Generator | None = None) -> nn.Module:
        """A freshly initialised network of the same kind with another width."""
        ...


@dataclass(frozen=True)
class Small(Method):
    """The same architecture with fewer channels: the largest that stores at most total / c numbers.

    At width 1 it may store more; its true compression says so.
    """

    name: ClassVar[str] = "small"
    kind: ClassVar[Kind] = "narrower"

    def _compress(self, model: nn.Module, probe: Probe) -> CompressedModel:
        """A narrower network with a fresh init of the run's seed."""
        if not isinstance(model, Narrowable):
            raise UserError("method small needs a network with a width and narrowed(width)")
        if self.compression == 1:
            return store_everything(model)
        budget = count_parameters(model) / self.compression
        width = widest_within(model, budget)
        narrow = model.narrowed(width, named_generator(self.seed, "small"))
        mark(narrow, chosen_names(model))
        weights = flatten_weights(model)
        return store_everything(narrow.to(weights.device, weights.dtype))


def widest_within(model: Narrowable, budget: float) -> int:
    """The largest width, at least 1, whose parameter count is at most the budget."""
    low, high = 1, model.width  # low always fits or is 1; above high is never needed
    while low < high:
        middle = (low + high + 1) // 2
        with torch.device("meta"):
            fits = count_parameters(model.narrowed(middle)) <= budget
        low, high = (middle, high) if fits else (low, middle - 1)
    return low
