"""Processes that a launcher keeps for its jobs: how the command that has them makes them stop.

An interrupt on a terminal reaches them too; they leave it to the command, which asks them by a
signal that a process without a handler ignores. It is sent again and again, as one of them may
still be starting. Each keeps its run's state and does no other job.
"""

import atexit
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache

from rps_bench.interrupts import StopError, StopSignals

ASK_SECONDS = 0.1  # between two times that the processes are asked


class JobsUntilStopped(list[list[str]]):
    """The jobs of a launcher, which hands out no more once the command was asked to stop."""

    def __init__(self, jobs: Sequence[list[str]], signals: StopSignals) -> None:
        super().__init__(jobs)
        self.signals = signals

    def __iter__(self) -> Iterator[list[str]]:
        for job in super().__iter__():
            if self.signals.asked is not None:
                return
            yield job


@contextmanager
def stopping_workers(signals: StopSignals) -> Iterator[None]:
    """Once the command was asked to stop, its processes are, until this is left.

    Raises:
        StopError: On leaving, if it was asked.
    """
    is_over = threading.Event()
    asking = threading.Thread(target=_ask, args=(signals, is_over), daemon=True)
    asking.start()
    try:
        with signals.undisturbed():
            yield
    finally:
        is_over.set()
        asking.join()


def _ask(signals: StopSignals, is_over: threading.Event) -> None:
    while not is_over.wait(ASK_SECONDS):
        for process in multiprocessing.active_children() if signals.asked is not None else ():
            assert process.pid is not None
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGURG)


@contextmanager
def job_of_a_worker() -> Iterator[StopSignals | None]:
    """The signals of one job; None if the process was asked to stop before, and is to do none."""
    stopped = _stopped()
    if stopped.is_set():
        yield None
        return
    with suppress(StopError), StopSignals((signal.SIGURG, signal.SIGTERM), False) as signals:
        try:
            yield signals
        finally:
            if signals.asked is not None:
                stopped.set()
                atexit.register(os._exit, 0)  # taking torch apart would take a second


@cache
def _stopped() -> threading.Event:
    """Set once this process was asked to stop, be it between two jobs."""
    stopped = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGURG, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    return stopped
