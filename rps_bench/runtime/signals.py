"""Ctrl-C and SIGTERM: a process leaves where it is, though never amid a step; on a second at once.

A signal that whoever started the process had it ignore stays ignored. Python runs handlers in the
main thread only, so entered in another thread nothing changes.

`StopSignals` is entered by a command, in ``obeying_signals``, and around the runs of one
process, in ``launch/jobs.py``. What must not be cut, such as a training step, is done in
``undisturbed()``. It needs no argument: it finds the signals that are heard where it is called, and
outside all of them it does nothing.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import FrameType, TracebackType
from typing import Any, Self

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
        second_ends: Whether another one ends the process at once, with the signal's exit status;
            False: it is not heard.
    """

    def __init__(self, numbers: Sequence[int] = STOP_SIGNALS, second_ends: bool = True) -> None:
        self.numbers, self.second_ends = numbers, second_ends
        self.asked: int | None = None
        self.is_undisturbed = False
        self._asked_at = 0.0
        self._before: dict[int, Any] = {}
        self._outer: Token[StopSignals | None] | None = None

    def __enter__(self) -> Self:
        self._outer = OWN_SIGNALS.set(self)
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
        assert self._outer is not None
        OWN_SIGNALS.reset(self._outer)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.asked is None:
            self.asked, self._asked_at = number, time.monotonic()
            if not self.is_undisturbed:
                raise StopError(number)
        elif self.second_ends and time.monotonic() - self._asked_at > ONE_REQUEST_SECONDS:
            os._exit(128 + number)


OWN_SIGNALS: ContextVar[StopSignals | None] = ContextVar("OWN_SIGNALS", default=None)


@contextmanager
def undisturbed() -> Iterator[None]:
    """A context that no signal cuts; outside `StopSignals` it changes nothing.

    Raises:
        StopError: The process was asked to stop, now or before. It is raised when the context is
            left, the outermost one where several are nested.
    """
    signals = OWN_SIGNALS.get()
    if signals is None or signals.is_undisturbed:
        yield
        return
    signals.is_undisturbed = True
    try:
        yield
    finally:
        signals.is_undisturbed = False
        if signals.asked is not None:
            raise StopError(signals.asked)


def obeying_signals(work: Callable[[], int]) -> int:
    """Do the work of a command until it ends or is asked to stop; returns the exit status."""
    with StopSignals() as signals:
        try:
            return work()
        except (Exception, KeyboardInterrupt) as error:
            # A library that a signal cuts may raise an error of its own.
            if signals.asked is None and not isinstance(error, KeyboardInterrupt):
                raise
            print(
                "rps_bench: interrupted; the same command goes on with what is missing",
                file=sys.stderr,
            )
            asked = error.number if isinstance(error, StopError) else signals.asked
            return 128 + (asked or signal.SIGINT)
