"""The process of a dashboard's package, so that nothing that it does can affect the tracked run.

Such a package starts services and threads, handles signals, registers exit handlers, waits for the
network or for locks. If any of that hangs, dies or fills a disk, it does so in this process. The
run writes its messages to a journal, which takes no longer than writing any file; it waits for the
worker only at its end, and only while the worker is alive.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from rps_bench.tracking.relay.journal import Journal
from rps_bench.tracking.relay.vital_signs import wait_while_alive
from rps_bench.tracking.service import Service

QUIET_SECONDS = 300.0  # without a sign of life, after which the worker counts as hanging
LEAVE_SECONDS = 3.0  # that an interrupted command waits; the worker then goes on alone


class WorkerError(RuntimeError):
    """The worker cannot go on; the message is one line."""


class WorkerProcess:
    """The worker process of a journal, started on creation.

    Args:
        service: Whose worker it is.
        journal: The journal to read; the caller closes it.
        words: More words for the worker's command line.

    Raises:
        OSError: The process cannot be started.
    """

    def __init__(self, service: Service, journal: Journal, words: Sequence[str] = ()) -> None:
        package_parent = str(Path(__file__).resolve().parents[3])
        self._scratch = Path(tempfile.mkdtemp(prefix=f"rps_bench-{service.folder}-"))
        # This checkout comes first, so that the worker is of the same code as the run.
        paths = [package_parent, os.environ.get("PYTHONPATH", "")]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", service.worker, self._scratch, journal.path, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
                pass_fds=(journal.fileno(),),  # with the lock on the journal
                start_new_session=True,  # an interrupt on the terminal does not reach the worker
            )
        except OSError:
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._bell: IO[bytes] = self._process.stdin
        self._output: IO[bytes] = self._process.stdout
        # So that `ring` never waits for a worker that hangs.
        os.set_blocking(self._bell.fileno(), False)

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def ring(self) -> None:
        """Notify the worker of a new message; never waits.

        Raises:
            WorkerError: The worker has ended.
        """
        try:
            os.write(self._bell.fileno(), b"\n")
        except BlockingIOError:  # the pipe is full of notices; the worker will find all messages
            pass
        except BrokenPipeError:
            raise WorkerError(self._last_words()) from None

    def end(self) -> list[str]:
        """Announce the end of messages, wait while the worker is alive, return its lines.

        Raises:
            WorkerError: The worker failed, or gave no sign of life for ``QUIET_SECONDS``.
        """
        self._bell.close()
        if not wait_while_alive(self._has_ended, self._scratch, QUIET_SECONDS):
            raise WorkerError(f"no sign of life for {QUIET_SECONDS:g} s")
        if self._process.returncode != 0:
            raise WorkerError(self._last_words())
        return self._read_lines()

    def leave(self) -> list[str]:
        """Announce the end of messages; after ``LEAVE_SECONDS`` the worker goes on by itself.

        Returns the worker's lines, if it has ended by then.
        """
        self._bell.close()
        if not self._has_ended(LEAVE_SECONDS):
            self._output.close()
            threading.Thread(target=self._process.wait, daemon=True).start()  # leaves no zombie
            return []
        lines = self._read_lines()
        self.kill()
        return lines

    def kill(self) -> None:
        """Kill the worker now, whatever it does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._bell, self._output):
            stream.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _has_ended(self, seconds: float) -> bool:
        """Whether the worker ends within some seconds."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _last_words(self) -> str:
        """The last line of a worker that has ended or is about to, else its exit status."""
        wait_while_alive(self._has_ended, self._scratch, QUIET_SECONDS)
        lines = self._read_lines()
        return lines[-1] if lines else f"its process ended with status {self._process.returncode}"

    def _read_lines(self) -> list[str]:
        """The lines that a worker wrote; none as long as it runs."""
        if self._process.poll() is None:
            return []
        return self._output.read().decode(errors="replace").splitlines()
