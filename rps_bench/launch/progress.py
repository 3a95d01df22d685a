"""What a run shows while it trains: a progress bar on a terminal, plain lines otherwise."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from rps_bench.core.console import say

if TYPE_CHECKING:
    from rps_bench.training.state import EpochResult


class RunProgress:
    """A context that shows one run's steps and epochs under its run id.

    Args:
        run_id: In every line.
        num_epochs: Of each training.
        has_bar: Whether to draw a bar on a terminal, where only one bar can be drawn at a time.
    """

    def __init__(self, run_id: str, num_epochs: int, has_bar: bool = True) -> None:
        self.run_id, self.num_epochs, self.level = run_id, num_epochs, ""
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} steps"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not (has_bar and console.is_terminal),
            # Lines pass above the bar on a terminal, and into a file where output is redirected.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._bar.add_task(run_id, total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show_level(self, number: int, last: int, num_kept: int) -> None:
        """Name the level in the lines that follow, where there is more than one."""
        if last > 0:
            self.level = f"level {number}/{last} ({num_kept:,} weights)  "

    def show_step(self, steps_done: int, num_steps: int) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=steps_done, total=num_steps)

    def show_epoch(self, result: "EpochResult") -> None:
        """Say one line per epoch."""
        say(
            f"{self.run_id}  {self.level}epoch {result.epoch}/{self.num_epochs}  "
            f"train loss {result.train_loss:.3f}  accuracy {result.accuracy:.2f}%  "
            f"{result.train_seconds:.1f} s"
        )
