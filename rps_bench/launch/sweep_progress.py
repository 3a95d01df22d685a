"""How far a whole sweep is, in one line: on a terminal the lowest one, else a line now and then.

All is told from records and locks, so runs count the same whoever does them: this process, others
of the command, or other commands on the same results folder.
"""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Self

from rps_bench.config import RunConfig
from rps_bench.core.console import say
from rps_bench.core.errors import UserError
from rps_bench.launch.screen import Screen
from rps_bench.sweep.reckoning import Reckoning
from rps_bench.sweep.standing import Place

LINE_SECONDS = 60.0  # between two lines where nothing can be drawn


class SweepProgress:
    """A context that tells how far a sweep is, from a thread of its own; nothing of a single run.

    Args:
        configs: All runs of the sweep, also those that are recorded already.
        screen: Where to draw the line; None: nowhere, as processes beside this one write there.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        configs: Sequence[RunConfig],
        screen: Screen | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tried: set[Place] = set()
        self._reckoning = Reckoning(configs, self._tried, clock)
        self._is_sweep = len(configs) > 1
        self._screen = screen if screen is not None and screen.is_drawn else None
        self._writes_lines = self._screen is None or not sys.stdout.isatty()
        self._clock, self._written_at = clock, clock()
        self._num_written: int | None = None  # runs that had ended at the last line
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, daemon=True)

    def __enter__(self) -> Self:
        if self._is_sweep:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._is_sweep:
            return
        self._stop.set()
        self._thread.join()
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            with suppress(UserError, OSError):
                self._reckoning.standing.look()
                say(f"sweep: {self._reckoning.counts}")

    def note_tried(self, config: RunConfig) -> None:
        """A run has ended here, or is given up: it has failed unless it is recorded."""
        self._tried.add(config.record_place)

    def look(self) -> None:
        """Look once; draw or write the line, if it is time.

        Raises:
            UserError, OSError: As of `Reckoning.look`.
        """
        self._reckoning.look()
        line = self._reckoning.describe(datetime.now())
        if self._screen is not None:
            self._screen.show_line(line)
        if self._writes_lines and self._is_line_due():
            say(line)

    def _is_line_due(self) -> bool:
        """Whether runs have ended since the last line, that is long ago, and others are left."""
        counts = self._reckoning.counts
        num_ended = counts.recorded + counts.failed
        if self._num_written is None:
            self._num_written = num_ended  # ended before this command
        is_news = num_ended > self._num_written and num_ended < counts.total
        if not is_news or self._clock() - self._written_at < LINE_SECONDS:
            return False
        self._num_written, self._written_at = num_ended, self._clock()
        return True

    def _keep_looking(self) -> None:
        while not self._stop.is_set():
            with suppress(UserError, OSError):  # whoever needs the file will say so
                self.look()
            self._stop.wait(self._reckoning.pause_seconds)
