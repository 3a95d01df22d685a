"""One call that trains, for tests that change one argument at a time."""

from collections.abc import Callable

from rps_bench.datasets.base import Dataset
from rps_bench.methods.compressed import CompressedModel
from rps_bench.training.loop import Trainer, Training
from rps_bench.training.recipe import Recipe
from rps_bench.training.state import EpochResult, Outcome, StateKeeper, TrainingState


class Told:
    """Callbacks that pass steps and epochs on."""

    def __init__(
        self, on_step: Callable[[int, int], None], on_epoch: Callable[[EpochResult], None]
    ) -> None:
        self.show_step, self.show_epoch = on_step, on_epoch

    def show_level(self, number: int, last: int, num_kept: int) -> None:
        """Not asked for."""


def train(
    model: CompressedModel,
    dataset: Dataset,
    recipe: Recipe,
    seed: int,
    precision: str,
    on_step: Callable[[int, int], None] = lambda step, num_steps: None,
    on_epoch: Callable[[EpochResult], None] = lambda result: None,
    start: TrainingState | None = None,
    keeper: StateKeeper | None = None,
) -> Outcome:
    """Train to the end of the recipe."""
    training = Training(dataset, recipe, seed, precision)
    return Trainer(model, training, Told(on_step, on_epoch), keeper).train(start)
