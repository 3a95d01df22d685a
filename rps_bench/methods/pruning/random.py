"""Random pruning: uniform over all weights, or with a number of kept weights for each layer."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from rps_bench.core import checks
from rps_bench.core.seeds import named_generator
from rps_bench.methods.base import Probe
from rps_bench.methods.layout import flatten_weights, layer_ranges, layout_of
from rps_bench.methods.pruning.base import PruningMethod
from rps_bench.methods.pruning.quotas import SHARES, layer_quotas
from rps_bench.methods.pruning.topk import keep_highest

UNIFORM = "uniform"


@dataclass(frozen=True)
class RandomPruning(PruningMethod):
    """Score uniform random, of the run's seed.

    Attributes:
        density: ``uniform`` chooses among all weights at once, so that layers keep the same share
            but for chance; the others give each layer its number beforehand: ``erk`` (density
            proportional to the sum over the product of the weight's dimensions) or ``balanced``
            (as many in every layer), a layer with too few weights dense and the rest divided again.
    """

    name: ClassVar[str] = "rand"
    density: str = UNIFORM

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.choice("method.density", self.density, (UNIFORM, *SHARES))

    def scores(self, model: nn.Module, probe: Probe) -> torch.Tensor:
        """(n,) random, the same in every round.

        On [0, 1); with numbers for the layers, each layer's highest so many are raised by 1: then
        the one top-k over all weights keeps just them.
        """
        layout = layout_of(model)
        weights = flatten_weights(model)
        generator = named_generator(self.seed, "scores")
        draws = torch.rand(weights.numel(), generator=generator, dtype=torch.float64)
        if self.density != UNIFORM:
            quotas = layer_quotas(self.density, layout, self.num_stored(layout))
            for (begin, end), quota in zip(layer_ranges(layout), quotas, strict=True):
                draws[begin + keep_highest(draws[begin:end], quota)] += 1
        return draws.to(weights.device)
