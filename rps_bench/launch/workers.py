"""Worker processes of a launcher: how the command that started them makes them stop.

An interrupt on a terminal reaches the workers too. They ignore it and wait for the command, which
asks them to stop by SIGURG, a signal that a process without a handler ignores. It asks repeatedly,
as a worker may still be starting. A worker that is asked saves the state of its run and does no
other job.
"""

import atexit
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache

from rps_bench.runtime.signals import StopError, StopSignals, undisturbed

ASK_SECONDS = 0.1  # between two requests to stop


class JobsUntilStopped(list[list[str]]):
    """The jobs for a launcher, which gets no more of them once the command was asked to stop."""

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
    """A context that passes a request to stop the command on to its worker processes.

    Raises:
        StopError: On leaving, if the command was asked to stop.
    """
    is_over = threading.Event()
    asking = threading.Thread(target=_ask, args=(signals, is_over), daemon=True)
    asking.start()
    try:
        with undisturbed():
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
    """The stop signals of one job; None if this process was asked to stop and may do no job."""
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
    """An event that is set once this process is asked to stop, also between two jobs."""
    stopped = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGURG, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    return stopped
