"""A terminal for tests: a command runs on a real pseudo-terminal, and what one would see is told.

Known are the control sequences that redraw lines in place; any other one is a fault.
"""

import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from fcntl import ioctl
from pathlib import Path
from struct import pack
from termios import TIOCSWINSZ
from typing import Self

from tests.patience import PATIENCE_SECONDS, wait_until

COLUMNS, ROWS = 72, 30
_PIECES = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)|(.)", re.DOTALL)


def show(text: str, columns: int = COLUMNS) -> list[str]:
    """The lines that a terminal shows after it got all of ``text``, those above its edge as well.

    A line that is longer than the terminal is wide goes on in the next row; it is told as one line.
    """
    rows: list[str] = [""]
    continued: set[int] = set()  # rows that the one above goes on in
    row = column = 0
    for question, number, letter, carriage, newline, plain, other in _PIECES.findall(text):
        assert not other, f"unknown control character {other!r} in {text!r}"
        if carriage:
            column = 0
        elif newline:
            row += 1
        elif plain:
            for character in plain:
                if column == columns:
                    row, column = row + 1, 0
                    continued.add(row)
                rows += [""] * (row + 1 - len(rows))
                line = rows[row].ljust(column)
                rows[row] = line[:column] + character + line[column + 1 :]
                column += 1
        elif letter == "A":
            row -= int(number or 1)
            assert row >= 0
        elif letter == "K":
            rows[row] = "" if number == "2" else rows[row][:column]
            continued.discard(row)
        else:
            assert letter == "m" or question, f"unknown sequence {number}{letter}"
        rows += [""] * (row + 1 - len(rows))
    told: list[str] = []
    for number, line in enumerate(rows):
        if number in continued:
            told[-1] += line
        else:
            told.append(line)
    return [line.rstrip() for line in told]


class OnTerminal:
    """``python -m MODULE WORDS`` whose output and errors are a terminal; a context."""

    def __init__(
        self, folder: Path, module: str, *words: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self._ours, theirs = pty.openpty()
        ioctl(theirs, TIOCSWINSZ, pack("HHHH", ROWS, COLUMNS, 0, 0))
        # Rich believes these rather than the terminal, and some test runners set them.
        inherited = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        inherited |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            cwd=folder,
            env=inherited | {"TERM": "xterm"} | dict(environment or {}),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._bytes = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """All that was written so far, control characters included."""
        return self._bytes.decode(errors="replace")

    def wait_for(self, pattern: str) -> None:
        """Wait until something was written; the command must not end before it."""

        def has_come() -> bool:
            has_ended = self.process.poll() is not None
            found = re.search(pattern, self.text) is not None
            assert found or not has_ended, self.text
            return found

        wait_until(has_come, pattern)

    def end(self) -> int:
        """Wait for the command and all that it writes; returns its exit status."""
        status = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE_SECONDS)
        os.close(self._ours)

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._ours, 4096)
            except OSError:  # nobody has the other end any more
                return
            if not piece:
                return
            self._bytes += piece
