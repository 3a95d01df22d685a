"""The main function of workers: reads a journal for a dashboard's package, tells errors in a line.

Its command line is ``SCRATCH JOURNAL ...``. SCRATCH is a folder for the package's caches; the
worker touches it as a sign of life and removes it at the end. JOURNAL is deleted once the package
has everything. Started by `worker_process.py`, which holds the other ends of the standard streams.
If the messages end before the run's own end message, the run was interrupted, killed or out of
memory, and is marked as interrupted.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NoReturn

from rps_bench.tracking.relay.journal import follow
from rps_bench.tracking.relay.troubles import first_line
from rps_bench.tracking.relay.vital_signs import Heart

Serve = Callable[[Iterable[Mapping[str, Any]], Callable[[], None]], Iterator[str]]


def run_worker(
    settle_environment: Callable[[str, MutableMapping[str, str]], None], serve: Serve
) -> NoReturn:
    """Serve one run; the exit status is 0 if everything was passed on.

    Args:
        settle_environment: Called first, with the scratch folder and this process's variables.
        serve: Passes on the messages of one run, from one command or several in order; calls its
            second argument after every step of progress, and yields lines to show.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the run decides: the worker ends with its messages
    # First of all, so that nothing the package prints is taken for a note.
    bell, notes = _take_streams()
    scratch, journal = Path(sys.argv[1]), Path(sys.argv[2])
    settle_environment(str(scratch), os.environ)
    status = 0
    with Heart(scratch) as heart:
        try:
            for note in serve(follow(journal, bell), heart.step):
                _tell(note, notes)
            journal.unlink(missing_ok=True)
        except Exception as error:  # a package may raise anything, and must not disturb the run
            _tell(first_line(error), notes)
            status = 1
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(status)  # exit handlers of a package may wait for a service that is gone


def _tell(line: str, notes: IO[str]) -> None:
    with suppress(BrokenPipeError):  # the command that would show it was interrupted
        print(line, file=notes, flush=True)


def _take_streams() -> tuple[int, IO[str]]:
    """Take over standard input and output, so that a package's service inherits neither."""
    bell, notes = os.dup(0), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    return bell, notes
