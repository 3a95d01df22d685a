"""What a run shows while it trains: a progress bar on a terminal, plain lines otherwise."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from rps_bench.errors import CompressionWarning

if TYPE_CHECKING:
    from rps_bench.training.state import EpochResult


FILE_COLUMNS = 240


def say(line: str) -> None:
    """One plain line on standard output, at once; whole, also beside other processes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def say_cautions(run_id: str) -> Iterator[None]:
    """Say each `CompressionWarning` as a plain line of the run; other warnings stay as they are."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CompressionWarning)
        yield
    for own in caught:
        if isinstance(own.message, CompressionWarning):
            say(f"{run_id}  {own.message}")
        else:
            warnings.warn_explicit(own.message, own.category, own.filename, own.lineno)


def show_table(table: Table) -> None:
    """A table on standard output; where that is no terminal, wide enough not to break lines."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=FILE_COLUMNS)
    console.print(table, markup=False, highlight=False)


class RunProgress:
    """A context that shows one run's steps and epochs under its run id.

    Args:
        run_id: In every line.
        num_epochs: Of each training.
        has_bar: Whether to draw a bar on a terminal, which shows the bar of one run only.
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
        """One line per epoch."""
        say(
            f"{self.run_id}  {self.level}epoch {result.epoch}/{self.num_epochs}  "
            f"train loss {result.train_loss:.3f}  accuracy {result.test_accuracy:.2f}%  "
            f"{result.train_seconds:.1f} s"
        )
