"""A recipe: the numbers of an SGD training run. It belongs to the experiment, not to a method.

Imports no torch, so that the command line checks a recipe at once.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.core.shown import show

LARGEST_EPOCHS = 100_000  # a record holds every one of them
SCHEDULES = ("step", "one_cycle")
PRECISIONS = ("auto", "fp32", "bf16")


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
        checks.text("recipe.name", self.name)
        checks.whole_number("recipe.epochs", self.epochs, 1, LARGEST_EPOCHS)
        checks.whole_number("recipe.batch_size", self.batch_size, 1)
        checks.positive_number("recipe.lr", self.lr)
        checks.number("recipe.momentum", self.momentum, "a number in [0, 1)", lambda x: 0 <= x < 1)
        checks.truth_value("recipe.nesterov", self.nesterov)
        checks.number("recipe.weight_decay", self.weight_decay, "a number >= 0", lambda x: x >= 0)
        checks.choice("recipe.schedule", self.schedule, SCHEDULES)
        checks.number("recipe.factor", self.factor, "a number in (0, 1]", lambda x: 0 < x <= 1)
        if self.max_steps_per_epoch is not None:
            checks.whole_number(
                "recipe.max_steps_per_epoch", self.max_steps_per_epoch, 1, also="null or "
            )
        self._check_drops()
        if self.nesterov and self.momentum == 0:
            raise UserError("recipe.nesterov=true needs a recipe.momentum above 0")

    def _check_drops(self) -> None:
        """Refuse drops that would silently do nothing."""
        for drop in self.drops:
            checks.whole_number("recipe.drops", drop, 1)
        if self.drops and self.schedule != "step":
            raise UserError("recipe.drops needs recipe.schedule=step; set recipe.drops=[]")
        if self.drops and max(self.drops) >= self.epochs:
            raise UserError(
                f"recipe.drops {list(self.drops)} must come before the last of {self.epochs} "
                "epochs; set others, or recipe.drops=[]"
            )

    def steps_per_epoch(self, num_images: int) -> int:
        """Steps of one epoch over ``num_images`` training images."""
        whole_epoch = -(-num_images // self.batch_size)
        return min(whole_epoch, self.max_steps_per_epoch or whole_epoch)

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """The recipe with other plain values, checked."""
        return self.from_values(asdict(self) | dict(values))

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """A recipe from plain yaml values: lists become tuples, whole numbers floats where due."""
        typed = dict(values)
        if isinstance(drops := typed.get("drops"), list):
            typed["drops"] = tuple(drops)
        for key in ("lr", "momentum", "weight_decay", "factor"):
            typed[key] = checks.number(f"recipe.{key}", typed[key])
        if not isinstance(typed["drops"], tuple):
            given = show(typed["drops"])
            raise UserError(f"recipe.drops must be a list of epochs such as [1,2], got {given}")
        return cls(**typed)


RECIPE_KEYS = tuple(field.name for field in fields(Recipe))
