"""What a run tells its dashboard, kept in a file until W&B or wandb's own files have all of it.

The run appends a line per message and never waits; the worker reads the lines at its own pace and
deletes the file when everything is told. Whatever is slow, hangs or is killed meanwhile, the file
stays, and `python -m rps_bench.tracking sync` sends what it holds.

A lock on the file says that somebody is at it. Run and worker share one descriptor, so that the
lock is held until both have gone.
"""

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rps_bench.permissions import follow_folder, make_folder
from rps_bench.tracking.describe import wandb_run_id

PREFIX, SUFFIX = "unsent-", ".jsonl"


class Journal:
    """The file of one run, held open and locked.

    Attributes:
        path: Where it lies.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self._descriptor = path, descriptor

    def fileno(self) -> int:
        """The descriptor, to be handed on to the worker."""
        return self._descriptor

    def append(self, message: Mapping[str, Any]) -> None:
        """Write one message.

        Raises:
            OSError: The disk does not take it.
        """
        rest = memoryview(json.dumps(message, default=str).encode() + b"\n")
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def close(self) -> None:
        """Let go of the file; it is free once the worker lets go of it too."""
        os.close(self._descriptor)


def open_journal(folder: Path, run_id: str) -> Journal:
    """The journal of a run that starts: one that an earlier command left, else a new one.

    What an earlier command left comes first then, as W&B takes the rows of a curve in order only.

    Args:
        folder: Is made if missing.
        run_id: Identity within the results folder.

    Raises:
        OSError: The folder cannot be written.
    """
    make_folder(folder)
    form = re.compile(re.escape(PREFIX + wandb_run_id(run_id, "")) + "[0-9a-f]{8}" + SUFFIX)
    for path in find_journals(folder):
        if form.fullmatch(path.name) and (left := take_journal(path)) is not None:
            _cut_torn_line(left)
            return left
    path = folder / f"{PREFIX}{wandb_run_id(run_id, secrets.token_hex(4))}{SUFFIX}"
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o666)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    follow_folder(path)
    return Journal(path, descriptor)


def find_journals(folder: Path) -> list[Path]:
    """The journals in a folder, by name."""
    return sorted(folder.glob(f"{PREFIX}*{SUFFIX}"))


def take_journal(path: Path) -> Journal | None:
    """A journal that was left; None where somebody is at it, or it is gone."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink > 0:  # else a worker deleted it while it was opened
            return Journal(path, descriptor)
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None


def follow(path: Path, bell: int) -> Iterator[Mapping[str, Any]]:
    """The messages of a journal as they come, until nobody writes any more.

    Args:
        path: The journal.
        bell: A pipe that gets a byte after every message, and ends with the last of them.
    """
    with open(path, "rb") as file:
        line, is_open = b"", True
        while is_open:
            is_open = os.read(bell, 1 << 16) != b""
            while part := file.readline():
                line += part
                if line.endswith(b"\n"):  # else it was caught half written, or torn by a kill
                    yield json.loads(line)
                    line = b""


def _cut_torn_line(journal: Journal) -> None:
    """Drop what a killed process wrote of its last line."""
    os.ftruncate(journal.fileno(), journal.path.read_bytes().rfind(b"\n") + 1)
