"""A process of its own for wandb, so that nothing wandb does reaches the run that it tracks.

wandb starts a service, takes signals, registers exit handlers and waits for the network. Whatever
of that hangs, dies or fills a disk does so here. The run writes its messages into a journal, which
takes no longer on a slow machine than any file; it waits at its end only, while the worker lives.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

from rps_bench.tracking.journal import Journal
from rps_bench.tracking.vital_signs import wait_while_alive

QUIET_SECONDS = 300.0  # without a sign of life: the worker hangs
LEAVE_SECONDS = 3.0  # a command that is interrupted ends soon after; the worker goes on
WORKER_MODULE = "rps_bench.tracking.worker"


class WorkerError(RuntimeError):
    """The worker cannot go on; the message is one line."""


class WorkerProcess:
    """The running worker of a journal.

    Args:
        journal: What it is to read; the caller closes it.
        mode: Of wandb, instead of what the journal's runs want.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, journal: Journal, mode: str | None = None) -> None:
        package_parent = str(Path(__file__).resolve().parents[2])
        self._scratch = Path(tempfile.mkdtemp(prefix="rps_bench-wandb-"))
        paths = [package_parent, os.environ.get("PYTHONPATH", "")]
        words = [str(self._scratch), str(journal.path), *([] if mode is None else [mode])]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", WORKER_MODULE, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
                pass_fds=(journal.fileno(),),  # and with it the lock
                start_new_session=True,  # an interrupt on the terminal is for the run alone
            )
        except OSError:
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._bell: IO[bytes] = self._process.stdin
        self._output: IO[bytes] = self._process.stdout
        os.set_blocking(self._bell.fileno(), False)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def ring(self) -> None:
        """Say that the journal has a new message; never waits.

        Raises:
            WorkerError: The worker has ended.
        """
        try:
            os.write(self._bell.fileno(), b"\n")
        except BlockingIOError:  # it has not listened for long, and will find all messages
            pass
        except BrokenPipeError:
            raise WorkerError(self._last_words()) from None

    def end(self) -> list[str]:
        """Tell that no more is to come, wait while the worker lives, return what it has to say.

        Raises:
            WorkerError: It failed, or gave no sign of life for ``QUIET_SECONDS``.
        """
        self._bell.close()
        if not wait_while_alive(self._has_ended, self._scratch, QUIET_SECONDS):
            raise WorkerError(f"no sign of life for {QUIET_SECONDS:g} s")
        if self._process.returncode != 0:
            raise WorkerError(self._last_words())
        return self._read_lines()

    def leave(self) -> list[str]:
        """Tell that no more is to come; after ``LEAVE_SECONDS`` the worker goes on by itself.

        Returns what it has to say, if it is done by then.
        """
        self._bell.close()
        if not self._has_ended(LEAVE_SECONDS):
            self._output.close()
            threading.Thread(target=self._process.wait, daemon=True).start()  # no zombie is left
            return []
        lines = self._read_lines()
        self.kill()
        return lines

    def kill(self) -> None:
        """End it now, whatever it does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._bell, self._output):
            stream.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _has_ended(self, seconds: float) -> bool:
        """Whether it ends within some seconds."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _last_words(self) -> str:
        """What a worker said that has ended, or that does not listen any more because it ends."""
        wait_while_alive(self._has_ended, self._scratch, QUIET_SECONDS)
        lines = self._read_lines()
        return lines[-1] if lines else f"its process ended with status {self._process.returncode}"

    def _read_lines(self) -> list[str]:
        """What an ended worker wrote."""
        if self._process.poll() is None:
            return []
        return self._output.read().decode(errors="replace").splitlines()
