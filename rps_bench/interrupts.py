"""Ctrl-C and SIGTERM: a process leaves where it is, though never amid a step; on a second at once.

A signal that whoever started the process had it ignore stays ignored. Python runs handlers in the
main thread only, so entered in another thread nothing changes.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

Undisturbed = Callable[[], AbstractContextManager[None]]  # makes contexts that no signal cuts

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
ONE_REQUEST_SECONDS = 0.1  # timeout(1) and others send a signal twice: to the process and its group


class StopError(KeyboardInterrupt):
    """The process was asked to stop by the signal ``number``."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class StopSignals:
    """A context in which a signal raises StopError, once, wherever the main thread is.

    Args:
        numbers: The signals.
        second_ends: Whether another one ends the process and its children at once, with the
            signal's exit status; False: it is not heard.
    """

    def __init__(self, numbers: Sequence[int] = STOP_SIGNALS, second_ends: bool = True) -> None:
        self.numbers, self.second_ends = numbers, second_ends
        self.asked: int | None = None
        self._asked_at, self._is_undisturbed = 0.0, False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in self.numbers:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """A context that no signal cuts: StopError is raised when it is left."""
        self._is_undisturbed = True
        try:
            yield
        finally:
            self._is_undisturbed = False
            if self.asked is not None:
                raise StopError(self.asked)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.asked is None:
            self.asked, self._asked_at = number, time.monotonic()
            if not self._is_undisturbed:
                raise StopError(number)
        elif self.second_ends and time.monotonic() - self._asked_at > ONE_REQUEST_SECONDS:
            for child in multiprocessing.active_children():
                child.kill()
            os._exit(128 + number)
