"""Progress callbacks: what a training tells while it goes on."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rps_bench.training.state import EpochResult


class Progress(Protocol):
    """Progress callbacks of a chain of trainings."""

    def show_level(self, number: int, last: int, num_kept: int) -> None:
        """Called before a level is trained."""
        ...

    def show_step(self, steps_done: int, num_steps: int) -> None:
        """Called every few steps."""
        ...

    def show_epoch(self, result: "EpochResult") -> None:
        """Called after each epoch's evaluation."""
        ...


class NoProgress:
    """Callbacks that show nothing."""

    def show_level(self, number: int, last: int, num_kept: int) -> None:
        """Do nothing."""

    def show_step(self, steps_done: int, num_steps: int) -> None:
        """Do nothing."""

    def show_epoch(self, result: "EpochResult") -> None:
        """Do nothing."""
