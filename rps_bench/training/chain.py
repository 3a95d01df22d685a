"""What a chain of trainings gave, and what it cost."""

from dataclasses import dataclass
from typing import Any

from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.levels import Level
from rps_bench.training.evaluation import Evaluation
from rps_bench.training.state import Outcome


@dataclass(frozen=True)
class Unretrained:
    """A trained dense network compressed at once, and how good it is before it is trained again."""

    model: CompressedModel
    found: Evaluation


@dataclass(frozen=True)
class Chain:
    """Trainings, and the network that the last one gave.

    Attributes:
        model: The last level's network, trained; for a chain that diverged before its last level
            the untrained network, pruned to the last level's size.
        levels: All levels, also those that a divergence left untrained.
        outcomes: What the levels gave, in order; ends with the first that diverged.
        first_step: Step of the schedule where every level but the first starts.
        steps_per_epoch: Of the training loop.
        unretrained: What compressing the first level's network gives without a training after it;
            None where there was nothing to compress, or weights go back.
    """

    model: CompressedModel
    levels: tuple[Level, ...]
    outcomes: tuple[Outcome, ...]
    first_step: int
    steps_per_epoch: int
    unretrained: Unretrained | None = None

    @property
    def outcome(self) -> Outcome:
        """What the last training gave."""
        return self.outcomes[-1]

    @property
    def divergence(self) -> str | None:
        """Where the chain diverged, None if it did not."""
        reason = self.outcome.divergence
        if reason is None or len(self.levels) == 1:
            return reason
        return f"level {len(self.outcomes) - 1} of {self.levels[-1].number}: {reason}"

    @property
    def accuracy(self) -> float | None:
        """Accuracy after the last epoch, in percent; None if the chain diverged."""
        return None if self.divergence else self.outcome.epochs[-1].accuracy

    @property
    def num_correct(self) -> list[int] | None:
        """Images that were right after the last epoch, by class; None if the chain diverged."""
        return None if self.divergence else self.outcome.num_correct

    def measure_cost(self) -> dict[str, float | int]:
        """What this network's trainings cost together, whoever ran them.

        ``num_levels`` counts the prunings after training; ``total_epochs`` counts partial epochs
        as the share that they are; seconds are without evaluation. ``population`` is the most
        runs that trained at once during any of the trainings: beyond 1 all times of the run are
        those of a device that others used, too.
        """
        return {
            "num_levels": len(self.outcomes) - 1,
            "num_trainings": len(self.outcomes),
            "total_epochs": round(sum(map(self._count_epochs, range(len(self.outcomes)))), 4),
            "total_train_seconds": round(sum(o.train_seconds for o in self.outcomes), 3),
            "population": max(o.num_at_once for o in self.outcomes),
        }

    def describe_levels(self) -> list[dict[str, Any]]:
        """One entry per training: its size, and the last epoch's numbers."""
        num_weights = self.levels[0].num_kept
        entries = []
        for level, outcome in zip(self.levels, self.outcomes, strict=False):
            last = None if outcome.divergence else outcome.epochs[-1]
            entries.append(
                {
                    "level": level.number,
                    "num_kept": level.num_kept,
                    "density": level.num_kept / num_weights,
                    "accuracy": last and last.accuracy,
                    "train_loss": last and last.train_loss,
                    "epochs": round(self._count_epochs(level.number), 4),
                    "train_seconds": round(outcome.train_seconds, 3),
                }
            )
        return entries

    def _count_epochs(self, number: int) -> float:
        """Epochs that a level trained, one that diverged counted whole."""
        outcome = self.outcomes[number]
        num_epochs = len(outcome.epochs) + (outcome.divergence is not None)
        if number == 0:
            return num_epochs
        return num_epochs - self.first_step % self.steps_per_epoch / self.steps_per_epoch
