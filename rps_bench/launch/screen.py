"""The lowest lines of a terminal, redrawn in place while all other lines pass above them.

Where standard error is no terminal nothing is drawn: a log gets no control characters.
"""

import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from rps_bench.runtime.signals import undisturbed

REDRAWS_PER_SECOND = 2.0  # each takes a moment from the training


class Screen:
    """A context that draws a run's bar and, below it, a line of the whole sweep.

    Attributes:
        is_drawn: Whether standard error is a terminal that it can be drawn on.
    """

    def __init__(self) -> None:
        # Lines that pass are not broken at the terminal's width: they are copied and searched.
        console = Console(stderr=True, soft_wrap=True)
        # Variables that ask for colour make a file count as a terminal there.
        is_terminal = sys.stderr.isatty() and console.is_terminal
        self.is_drawn = is_terminal and not console.is_dumb_terminal
        self._lines = _Lines(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} steps"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not self.is_drawn,
            refresh_per_second=REDRAWS_PER_SECOND,
            # Lines pass above on a terminal, and into a file where output is redirected.
            redirect_stdout=sys.stdout.isatty(),
        )

    def __enter__(self) -> Self:
        self._lines.start()
        if self.is_drawn:  # a command that is killed leaves the terminal as it was
            self._lines.console.show_cursor(True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with undisturbed():
            self._lines.stop()

    def show_line(self, line: str) -> None:
        """Draw a line below all others, in place of the last one."""
        self._lines.lowest = line

    def add_bar(self, name: str) -> TaskID:
        """Draw a bar of steps."""
        return self._lines.add_task(name, total=None)

    def move_bar(self, bar: TaskID, steps_done: int, num_steps: int) -> None:
        """Let a bar show so many steps."""
        self._lines.update(bar, completed=steps_done, total=num_steps)

    def remove_bar(self, bar: TaskID) -> None:
        """Draw a bar no more."""
        self._lines.remove_task(bar)


class _Lines(Progress):
    """Bars, and a line below them; each is cut at the terminal's width."""

    lowest = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        if self.tasks:
            yield self.make_tasks_table(self.tasks)
        if self.lowest:
            yield Text(self.lowest, no_wrap=True, overflow="ellipsis")
