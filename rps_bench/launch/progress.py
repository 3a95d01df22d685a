"""What a run shows while it trains: a progress bar on a terminal, and a line after each epoch."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rps_bench.core.console import say
from rps_bench.launch.screen import Screen

if TYPE_CHECKING:
    from rps_bench.training.state import EpochResult


class RunProgress:
    """A context that shows one run's steps and epochs under its run id.

    Args:
        run_id: In every line.
        num_epochs: Of each training.
        screen: Where to draw a bar; None: no bar, as beside other runs.
    """

    def __init__(self, run_id: str, num_epochs: int, screen: Screen | None = None) -> None:
        self.run_id, self.num_epochs, self.level = run_id, num_epochs, ""
        self._screen = screen

    def __enter__(self) -> Self:
        if self._screen is not None:
            self._bar = self._screen.add_bar(self.run_id)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._screen is not None:
            self._screen.remove_bar(self._bar)

    def show_level(self, number: int, last: int, num_kept: int) -> None:
        """Name the level in the lines that follow, where there is more than one."""
        if last > 0:
            self.level = f"level {number}/{last} ({num_kept:,} weights)  "

    def show_step(self, steps_done: int, num_steps: int) -> None:
        """Move the bar."""
        if self._screen is not None:
            self._screen.move_bar(self._bar, steps_done, num_steps)

    def show_epoch(self, result: "EpochResult") -> None:
        """Say one line per epoch."""
        say(
            f"{self.run_id}  {self.level}epoch {result.epoch}/{self.num_epochs}  "
            f"train loss {result.train_loss:.3f}  accuracy {result.accuracy:.2f}%  "
            f"{result.train_seconds:.1f} s"
        )
