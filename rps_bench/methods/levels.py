"""Levels: the trainings that lead to one compressed model, each after pruning the one before.

Most methods choose before training and have a single level. A method that prunes what training
gave has many, and its compressions share those that all of them pass through.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from rps_bench.core.errors import UserError

REWIND_STEPS = 1000  # the published choice, for trainings of tens of thousands of steps
LATEST_DEFAULT_SHARE = 10  # where nothing is said, rewind to at most a tenth of a training


@dataclass(frozen=True)
class Level:
    """One training.

    Attributes:
        number: How many times weights were pruned before it.
        num_kept: Stored weights that it trains.
        is_shared: Whether other compressions pass through it too.
    """

    number: int
    num_kept: int
    is_shared: bool


@dataclass(frozen=True)
class Rewinding:
    """Where a level starts after pruning.

    Attributes:
        step: k, where every level but the first starts the schedule; None: 1000, at most a tenth
            of the training.
        restores_weights: Whether weights, biases, BatchNorm and optimizer go back to their state
            at k too, or keep what the level before gave (the optimizer starts anew).
    """

    step: int | None
    restores_weights: bool

    def resolve_step(self, num_steps: int) -> int:
        """k for a training of ``num_steps`` steps.

        Raises:
            UserError: k is not before the last step.
        """
        if self.step is None:
            return min(REWIND_STEPS, num_steps // LATEST_DEFAULT_SHARE)
        if self.step >= num_steps:
            raise UserError(
                f"method.rewind_steps must be from 0 to {num_steps - 1}, as this training has "
                f"{num_steps} steps, got {self.step}"
            )
        return self.step


def pruning_levels(num_weights: int, num_stored: int, fraction: float) -> tuple[Level, ...]:
    """All levels from the dense network down to exactly m weights.

    Each level prunes ``ceil(fraction * kept)`` weights, the last one just what is left to prune.
    The levels before the last do not depend on m; the last is shared only if it falls on one of
    them.

    Args:
        num_weights: n.
        num_stored: m, from 1 to n.
        fraction: Of the kept weights that a level prunes, in (0, 1).
    """
    levels = [Level(0, num_weights, is_shared=True)]
    share = Fraction(str(fraction))  # 0.2 as it is written: 0.2 * 15 weights are 3, not 4
    while (kept := levels[-1].num_kept) > num_stored:
        natural = kept - math.ceil(share * kept)
        num_kept = max(natural, num_stored)
        levels.append(Level(len(levels), num_kept, is_shared=num_kept == natural))
    return tuple(levels)
