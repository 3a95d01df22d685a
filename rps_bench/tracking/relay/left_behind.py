"""Journals whose worker did not pass on everything: it hung, was killed, or had no room."""

import sys
from contextlib import ExitStack
from pathlib import Path

from rps_bench.tracking.relay.journal import Journal, find_journals, take_journal
from rps_bench.tracking.relay.worker_process import WorkerError, WorkerProcess
from rps_bench.tracking.service import Service


def take_journals(folder: Path, stack: ExitStack) -> tuple[list[Journal], int]:
    """The journals left behind, held until the stack closes, and the number of those in use."""
    paths = find_journals(folder)
    taken = [journal for path in paths if (journal := take_journal(path)) is not None]
    for journal in taken:
        stack.callback(journal.close)
    return taken, len(paths) - len(taken)


def pass_on(service: Service, journal: Journal, *words: str) -> bool:
    """Pass on a journal; if that fails, print why and return False.

    Args:
        service: Whose journal it is.
        journal: The journal, taken.
        words: More words for the worker's command line.
    """
    worker = WorkerProcess(service, journal, words)
    try:
        notes = worker.end()
    except WorkerError as error:
        notes = [str(error)]
    finally:
        worker.kill()
    for note in notes:
        print(f"rps_bench: {service.title}: {journal.path.name}: {note}", file=sys.stderr)
    return not notes
