"""A process that does runs for a command which shares them out: its own side.

The command is told that this process listens, sends one run after the other, and is told how each
ended. A process that is asked to stop keeps the state of its run and leaves. It does the same where
the command is gone, killed or not; if it was asked before, it leaves at once. Ctrl-C reaches all
processes of a terminal, so it is not heard here: the command asks.
"""

import atexit
import os
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, NamedTuple, TextIO

from rps_bench.config import RunConfig
from rps_bench.core.errors import UserError
from rps_bench.core.output import outliving_readers
from rps_bench.launch.attempt import Attempt, show_failure
from rps_bench.launch.jobs import try_beside_others
from rps_bench.plugins import load_plugins, provide
from rps_bench.runtime.signals import StopError, StopSignals, undisturbed
from rps_bench.runtime.waiting import let_threads_sleep

HELD_BACK = (signal.SIGINT, signal.SIGTERM)  # until this process can hear them


class Task(NamedTuple):
    """A run, and the plugins that are loaded where it was planned."""

    config: RunConfig
    plugins: tuple[str, ...]


def main(descriptors: str) -> None:
    """Do runs until the command has no more.

    Args:
        descriptors: Numbers of the open files: the way to the command, output and errors.
    """
    way, output, errors = map(int, descriptors.split(","))
    for number in (way, output, errors):
        os.set_inheritable(number, False)  # programs that a run starts may outlive this process
    sys.stdout, sys.stderr = map(_open_lines, (output, errors))
    let_threads_sleep()
    atexit.register(os._exit, 0)  # last of all: taking torch apart would take a second
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signals = StopSignals((signal.SIGURG, signal.SIGTERM), second_ends=False)
    with outliving_readers(), suppress(StopError), signals:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
        connection, tasks = Connection(way), SimpleQueue[Task | None]()
        threading.Thread(target=_listen, args=(connection, tasks), daemon=True).start()
        with undisturbed():
            connection.send(None)
        while (task := tasks.get()) is not None:
            attempt = _do(task)
            with undisturbed():
                connection.send(attempt)


def _open_lines(descriptor: int) -> TextIO:
    return os.fdopen(descriptor, "w", buffering=1, encoding="utf-8", errors="surrogateescape")


def _listen(connection: "Connection[Any, Any]", tasks: "SimpleQueue[Task | None]") -> None:
    """Pass runs on to the main thread, and ask it to stop when the command does or is gone.

    It is asked by a signal, for it may be at work, and by a last task: a signal that comes just
    before it begins to wait for one wakes nobody.
    """
    is_asked = False
    with suppress(EOFError, OSError):
        while True:
            task = connection.recv()
            if task is None:
                is_asked = True
                _ask(tasks)
            else:
                tasks.put(task)
    if is_asked:  # the command has not waited
        os._exit(0)
    _ask(tasks)


def _ask(tasks: "SimpleQueue[Task | None]") -> None:
    tasks.put(None)
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    signal.pthread_kill(main_thread, signal.SIGURG)


def _do(task: Task) -> Attempt:
    try:
        _provide_plugins(task)
    except UserError as error:
        show_failure(task.config, error)
        return Attempt.OVER
    return try_beside_others(task.config)


def _provide_plugins(task: Task) -> None:
    """Make the run's plugins known here, too.

    Raises:
        UserError: One is not what it was when the run was planned, which its run id tells.
    """
    load_plugins(task.plugins)
    config = task.config
    names = {"method": config.method, "arch": config.arch, "dataset": config.dataset}
    found = {group: provide(group, name) for group, name in names.items()}
    for group, origin in found.items():
        if origin != config.plugins.get(group):
            was = f"the {group} {names[group]} was changed since the command began"
            raise UserError(f"{config.run_id}: {was}; give the command again")
