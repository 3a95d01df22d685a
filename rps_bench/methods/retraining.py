"""Compressing a trained network at once, and training what is left as often as pruning would.

Beside `pruning/trained.py`, whose levels prune a fifth and train again: the same dense training,
the same schedule from iteration k on, and by default as many trainings after it, so that what is
compared had one budget.
"""

from abc import abstractmethod
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
from rps_bench.methods.weight_map import IdentityMap

LEVEL_FRACTION = 0.2  # of mag_trained, whose number of trainings is the default here


@dataclass(frozen=True)
class RetrainedMethod(Method):
    """Train the dense network, compress it at once, train what is stored.

    Attributes:
        rewind_steps: k, where each training after the first starts the schedule; 0 is all of it.
            None: 1000, at most a tenth of the training's steps.
        retrainings: How often it is trained again. None: as often as ``mag_trained`` prunes by
            fifths on its way to the same compression.
    """

    kind: ClassVar[Kind] = "post-training"
    shares_trainings: ClassVar[bool] = True

    rewind_steps: int | None = None
    retrainings: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rewind_steps is not None:
            checks.whole_number("method.rewind_steps", self.rewind_steps, 0, also="null or ")
        if self.retrainings is not None:
            checks.whole_number("method.retrainings", self.retrainings, 1, also="null or ")

    @abstractmethod
    def compress_weights(self, trained: nn.Module, probe: Probe) -> CompressedModel:
        """What is stored of a trained dense network, which is left as it is."""

    @property
    def rewinding(self) -> Rewinding:
        """Where the trainings after the first start; the weights stay as trained."""
        return Rewinding(self.rewind_steps, restores_weights=False)

    def levels(self, layout: Layout) -> tuple[Level, ...]:
        """The dense network, then the same m stored values again and again.

        All but the last training are kept for runs that store as many values, and for this one
        after a stop.
        """
        n, m = num_weights(layout), self.num_stored(layout)
        count = self._count_retrainings(n)
        later = (Level(number, m, is_shared=number < count) for number in range(1, count + 1))
        return (Level(0, n, is_shared=True), *later)

    def _count_retrainings(self, n: int) -> int:
        if self.retrainings is not None:
            return self.retrainings
        kept = max(int(n / self.compression), 1)
        return max(len(pruning_levels(n, kept, LEVEL_FRACTION)) - 1, 1)

    def start(self, model: nn.Module, probe: Probe) -> CompressedModel:
        """The dense network: the first level trains all of it."""
        return store_everything(model)

    def compress_trained(
        self, model: nn.Module, trained: CompressedModel, num_stored: int, probe: Probe
    ) -> CompressedModel:
        """The trained dense network compressed; one that is compressed already as it is."""
        if isinstance(trained.weight_map, IdentityMap):
            return self.compress_weights(trained.to_dense(), probe)
        return CompressedModel(model, trained.weight_map, trained.stored.detach(), trained.scaling)

    def _compress(self, model: nn.Module, probe: Probe) -> CompressedModel:
        """``model`` compressed by the weights it holds, taken as trained."""
        return self.compress_weights(model, probe)
