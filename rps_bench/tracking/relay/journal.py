"""A file of a run's messages to its dashboard, kept until that has stored or sent all of them.

The run appends a line per message and never waits; the worker reads the lines at its own pace and
deletes the file once all messages are passed on. If the worker is slow, hangs or is killed, the
file stays, and `python -m rps_bench.tracking sync` sends what it holds.

A lock on the file shows that a run or a worker still uses it. Both share one file description, so
that the lock is held until both have closed it.
"""

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rps_bench.core.permissions import follow_folder, make_folder
from rps_bench.tracking.describe import dashboard_run_id

PREFIX, SUFFIX = "unsent-", ".jsonl"


class Journal:
    """The journal of one run, held open and locked.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self._descriptor = path, descriptor

    def fileno(self) -> int:
        """The file's descriptor, which the worker inherits."""
        return self._descriptor

    def append(self, message: Mapping[str, Any]) -> None:
        """Write one message.

        Raises:
            OSError: The disk takes no more.
        """
        # A write may take only a part of the line, for instance when the disk is nearly full.
        rest = memoryview(json.dumps(message, default=str).encode() + b"\n")
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def close(self) -> None:
        """Close the file; its lock ends once the worker has closed it too."""
        os.close(self._descriptor)


def open_journal(folder: Path, run_id: str) -> Journal:
    """The journal of a run that starts: the one that an earlier command left, or a new one.

    Messages left by an earlier command stay first, as W&B accepts the rows of a curve in order
    only.

    Args:
        folder: Created if missing.
        run_id: Id of the run within the results folder.

    Raises:
        OSError: The folder cannot be written.
    """
    make_folder(folder)
    form = re.compile(re.escape(PREFIX + dashboard_run_id(run_id, "")) + "[0-9a-f]{8}" + SUFFIX)
    for path in find_journals(folder):
        if form.fullmatch(path.name) and (left := take_journal(path)) is not None:
            _cut_torn_line(left)
            return left
    path = folder / f"{PREFIX}{dashboard_run_id(run_id, secrets.token_hex(4))}{SUFFIX}"
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o666)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    follow_folder(path)
    return Journal(path, descriptor)


def find_journals(folder: Path) -> list[Path]:
    """The journals in a folder, by name."""
    return sorted(folder.glob(f"{PREFIX}*{SUFFIX}"))


def take_journal(path: Path) -> Journal | None:
    """A journal that was left behind; None if a process still uses it, or it is gone."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink > 0:  # else a worker deleted it after it was opened
            return Journal(path, descriptor)
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None


def follow(path: Path, bell: int) -> Iterator[Mapping[str, Any]]:
    """The messages of a journal as they arrive, until nobody writes any more.

    Args:
        path: The journal.
        bell: A pipe with a byte for every new message; its end means that no more will come.
    """
    with open(path, "rb") as file:
        line, is_open = b"", True
        while is_open:
            # Wait for the bell, then read all lines that are there; bytes of several messages may
            # arrive at once. After the end of the pipe, the file is read one last time.
            is_open = os.read(bell, 1 << 16) != b""
            while part := file.readline():
                line += part
                if line.endswith(b"\n"):  # else the line is still being written, or torn by a kill
                    yield json.loads(line)
                    line = b""


def _cut_torn_line(journal: Journal) -> None:
    """Remove an incomplete last line, left by a killed process."""
    os.ftruncate(journal.fileno(), journal.path.read_bytes().rfind(b"\n") + 1)
