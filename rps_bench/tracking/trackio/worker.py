"""The worker process of trackio: writes the messages of a journal to the file of a project.

python -m rps_bench.tracking.trackio.worker SCRATCH JOURNAL
"""

import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, NoReturn

from rps_bench.core.permissions import follow_by_umask, make_folder
from rps_bench.tracking.relay.troubles import require_space
from rps_bench.tracking.relay.worker import run_worker
from rps_bench.tracking.trackio.environment import settle_environment
from rps_bench.tracking.trackio.runs import RunToWrite, WrittenRun


def main() -> NoReturn:
    """Serve one run; the exit status is 0 if everything was written."""
    folder = Path(sys.argv[2]).parent  # the journal lies beside trackio's files

    def settle(scratch: str, environment: MutableMapping[str, str]) -> None:
        settle_environment(folder, scratch, environment)

    run_worker(settle, serve)


def serve(messages: Iterable[Mapping[str, Any]], step: Callable[[], None]) -> Iterator[str]:
    """Begin or resume the run of the first message, write its epochs and its end.

    Args:
        messages: The messages of one run, from one command or several in order.
        step: Called after every step of progress.
    """
    pending = iter(messages)
    start = dict(next(pending)["run"])
    if_cut_off = {"summary": start.pop("on_end"), "config": {}}
    wanted = RunToWrite(**start)
    follow_by_umask(make_folder(wanted.folder))  # for what trackio writes there
    require_space(wanted.folder)
    try:
        _write(wanted, pending, if_cut_off, step)
    except sqlite3.Error:
        require_space(wanted.folder)  # SQLite may call a full disk an I/O error
        raise
    yield from ()


def _write(
    wanted: RunToWrite,
    messages: Iterable[Mapping[str, Any]],
    if_cut_off: Mapping[str, Any],
    step: Callable[[], None],
) -> None:
    """Write the run; its end is that of the last command, if that left one."""
    run = WrittenRun(wanted)
    step()
    last_words: Mapping[str, Any] | None = None
    # A resumed run repeats the start message, and epochs since its last checkpoint.
    for message in messages:
        last_words = message if message["kind"] == "end" else None
        if message["kind"] == "log":
            run.log(message["values"])
        step()
    last_words = last_words or if_cut_off
    run.end(last_words["summary"], last_words["config"])
    step()


if __name__ == "__main__":
    main()
