"""The file that keeps a run's epochs until they are told."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rps_bench.tracking.relay.journal import (
    find_journals,
    follow,
    open_journal,
    take_journal,
)


def test_the_reader_gets_whole_lines_as_they_come_and_ends_with_the_writer(tmp_path: Path) -> None:
    """Each message is read before the next one is written, so none can wait for the end."""
    journal = open_journal(tmp_path, "a")
    bell, ring = os.pipe()
    heard: list[Mapping[str, Any]] = []
    has_heard = threading.Semaphore(0)

    def read() -> None:
        for message in follow(journal.path, bell):
            heard.append(message)
            has_heard.release()

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(3):
        journal.append({"number": number})
        os.write(ring, b"\n")
        has_heard.acquire()
    os.write(journal.fileno(), b'{"number": 3}')  # no end of line: torn
    os.close(ring)
    reader.join()
    os.close(bell)
    journal.close()
    assert heard == [{"number": 0}, {"number": 1}, {"number": 2}]


def test_nobody_takes_a_journal_that_is_in_use(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, "a")
    inherited = os.dup(journal.fileno())  # as a worker holds it
    journal.close()
    assert take_journal(journal.path) is None
    os.close(inherited)
    taken = take_journal(journal.path)
    assert taken is not None
    taken.close()


def test_a_run_goes_on_in_its_own_journal_only(tmp_path: Path) -> None:
    first = open_journal(tmp_path, "run-s1")
    first.append({"number": 1})
    beside = open_journal(tmp_path, "run-s1")  # while the first is in use
    assert beside.path != first.path
    beside.path.unlink()
    beside.close()
    os.write(first.fileno(), b"torn")
    first.close()
    for other in ("run-s", "run-s1-2", "n-s1"):
        open_journal(tmp_path, other).close()
    again = open_journal(tmp_path, "run-s1")
    assert again.path == first.path
    again.append({"number": 2})
    again.close()
    assert again.path.read_text() == '{"number": 1}\n{"number": 2}\n'
    assert len(find_journals(tmp_path)) == 4


def test_a_journal_that_is_gone_is_nobodys(tmp_path: Path) -> None:
    assert take_journal(tmp_path / "unsent-a.jsonl") is None


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "wandb").touch()
    with pytest.raises(FileExistsError):
        open_journal(tmp_path / "wandb", "a")
