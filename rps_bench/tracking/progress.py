"""Progress callbacks of a tracked run: the console first, then the tracker."""

from typing import TYPE_CHECKING

from rps_bench.tracking.base import Tracker

if TYPE_CHECKING:
    from rps_bench.training.progress import Progress
    from rps_bench.training.state import EpochResult


class TrackedProgress:
    """A `Progress` that passes all calls on, and reports each epoch to a tracker as well."""

    def __init__(self, shown: "Progress", tracker: Tracker) -> None:
        self.shown, self.tracker, self.level = shown, tracker, 0

    def show_level(self, number: int, last: int, num_kept: int) -> None:
        """Remember the level of the epochs that follow, and pass the call on."""
        self.level = number
        self.shown.show_level(number, last, num_kept)

    def show_step(self, steps_done: int, num_steps: int) -> None:
        """Pass the call on."""
        self.shown.show_step(steps_done, num_steps)

    def show_epoch(self, result: "EpochResult") -> None:
        """Pass the call on, then track the epoch."""
        self.shown.show_epoch(result)
        self.tracker.log_epoch(self.level, result)
