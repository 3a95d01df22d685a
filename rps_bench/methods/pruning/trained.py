"""Pruning of trained weights, level by level: lottery ticket rewinding and fine-tuning.

Frankle et al. 2020 (Linear Mode Connectivity and the Lottery Ticket Hypothesis) for the rewound
weights; Renda et al. 2020 (Comparing Rewinding and Fine-tuning) for keeping the trained ones and
rewinding the learning rate only.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from rps_bench.core import checks
from rps_bench.core.kinds import Kind
from rps_bench.methods.base import Method, Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import Layout, num_weights
from rps_bench.methods.levels import Level, Rewinding, pruning_levels
from rps_bench.methods.selection import store_everything


@dataclass(frozen=True)
class TrainedPruningMethod(Method):
    """Train, prune a fifth, set the rest back to iteration k; again until m are left.

    The weights of the lowest ``score_trained`` are pruned.

    Attributes:
        rewind_steps: k; 0 is the init. None: 1000, at most a tenth of the training's steps.
        level_fraction: Share of the kept weights that each level prunes, in (0, 1).
        rewind: Whether weights, biases, BatchNorm and optimizer go back to iteration k; False
            keeps the trained ones. The schedule runs again from iteration k either way.
    """

    kind: ClassVar[Kind] = "pruning"
    shares_trainings: ClassVar[bool] = True

    rewind_steps: int | None = None
    level_fraction: float = 0.2
    rewind: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rewind_steps is not None:
            checks.whole_number("method.rewind_steps", self.rewind_steps, 0, also="null or ")
        checks.number(
            "method.level_fraction", self.level_fraction, "a number in (0, 1)", lambda x: 0 < x < 1
        )
        checks.truth_value("method.rewind", self.rewind)

    @property
    def rewinding(self) -> Rewinding:
        """Where the levels after the first start."""
        return Rewinding(self.rewind_steps, self.rewind)

    def levels(self, layout: Layout) -> tuple[Level, ...]:
        """From the dense network down to exactly m weights."""
        return pruning_levels(num_weights(layout), self.num_stored(layout), self.level_fraction)

    def start(self, model: nn.Module, probe: Probe) -> CompressedModel:
        """The dense network: the first level trains all of it."""
        return store_everything(model)

    def _compress(self, model: nn.Module, probe: Probe) -> CompressedModel:
        """``model`` pruned to m by the scores of the weights it holds, taken as trained."""
        dense = store_everything(model)
        return self.compress_trained(model, dense, self.num_stored(dense.layout), probe)


@dataclass(frozen=True)
class LotteryTicketRewinding(TrainedPruningMethod):
    """Magnitude of the trained weights; what is left goes back to iteration k."""

    name: ClassVar[str] = "ltr"


@dataclass(frozen=True)
class TrainedMagnitude(TrainedPruningMethod):
    """Fine-tuning: the same levels and schedule, going on from the trained weights."""

    name: ClassVar[str] = "mag_trained"

    rewind: bool = False
