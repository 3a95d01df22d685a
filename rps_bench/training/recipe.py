"""A recipe: the numbers of an SGD training run. It belongs to the experiment, not to a method.

Imports no torch, so that the command line checks a recipe at once.
"""

import math
from dataclasses import dataclass, fields

from rps_bench.errors import UserError

SCHEDULES = ("step", "one_cycle")


@dataclass(frozen=True)
class Recipe:
    """SGD with momentum, a learning-rate schedule, and a number of epochs.

    Attributes:
        name: paper, quick or smoke, or a name of your own.
        epochs: Passes over the training images.
        batch_size: Images of one step; the last step of an epoch may have fewer.
        lr: Initial (step) or peak (one_cycle) learning rate.
        momentum: SGD momentum in [0, 1).
        nesterov: Whether the momentum is Nesterov's.
        weight_decay: On every parameter, theta, biases and BatchNorm alike.
        schedule: ``step`` multiplies by ``factor`` after each epoch of ``drops``; ``one_cycle``
            rises to ``lr`` and falls to zero, changing at every step.
        drops: Numbers of finished epochs after which the rate drops.
        factor: What a drop multiplies by.
        max_steps_per_epoch: Cuts every epoch short; None for whole epochs.

    Raises:
        UserError: A value out of its range.
    """

    name: str
    epochs: int
    batch_size: int
    lr: float
    momentum: float
    nesterov: bool
    weight_decay: float
    schedule: str
    drops: tuple[int, ...]
    factor: float
    max_steps_per_epoch: int | None = None

    def __post_init__(self) -> None:
        for option in ("epochs", "batch_size"):
            _require_count(option, getattr(self, option))
        if self.max_steps_per_epoch is not None:
            _require_count("max_steps_per_epoch", self.max_steps_per_epoch)
        _require_number("lr", self.lr, self.lr > 0, "above 0")
        _require_number("momentum", self.momentum, 0 <= self.momentum < 1, "in [0, 1)")
        _require_number("weight_decay", self.weight_decay, self.weight_decay >= 0, "from 0 up")
        _require_number("factor", self.factor, 0 < self.factor <= 1, "in (0, 1]")
        if self.schedule not in SCHEDULES:
            allowed = ", ".join(SCHEDULES)
            raise UserError(f"recipe.schedule must be one of {allowed}, got {self.schedule}")
        if self.nesterov and self.momentum == 0:
            raise UserError("recipe.nesterov=true needs a recipe.momentum above 0")
        if any(drop < 1 for drop in self.drops):
            raise UserError(f"recipe.drops must be epochs from 1 up, got {list(self.drops)}")


RECIPE_KEYS = tuple(field.name for field in fields(Recipe))


def _require_count(option: str, value: int) -> None:
    if value < 1:
        raise UserError(f"recipe.{option} must be a whole number from 1 up, got {value}")


def _require_number(option: str, value: float, holds: bool, range_: str) -> None:
    if not (math.isfinite(value) and holds):
        raise UserError(f"recipe.{option} must be a number {range_}, got {value}")
