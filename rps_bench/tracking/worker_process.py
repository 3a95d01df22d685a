"""A process of its own for wandb, so that nothing wandb does reaches the run that it tracks.

wandb starts a service, takes signals, registers exit handlers and waits for the network. Whatever
of that hangs, dies or fills a disk does so here; the run sends one line per message and never
waits longer than the bounds below.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

SEND_SECONDS = 5.0  # a message that is not taken by then: the worker hangs
END_SECONDS = 60.0  # the worker's own bounds on connecting and sending end before this one
LEAVE_SECONDS = 3.0  # a command that is interrupted ends soon after
WORKER_MODULE = "rps_bench.tracking.worker"


class WorkerError(RuntimeError):
    """The worker cannot go on; the message is one line."""


class WorkerProcess:
    """The running worker.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self) -> None:
        package_parent = str(Path(__file__).resolve().parents[2])
        self._scratch = tempfile.mkdtemp(prefix="rps_bench-wandb-")
        paths = [package_parent, os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", WORKER_MODULE, self._scratch],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            start_new_session=True,  # an interrupt on the terminal is for the run alone
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input: IO[bytes] = self._process.stdin
        self._output: IO[bytes] = self._process.stdout
        os.set_blocking(self._input.fileno(), False)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def send(self, message: Mapping[str, Any]) -> None:
        """Hand over a message, within ``SEND_SECONDS``.

        Raises:
            WorkerError: The worker has ended, or does not listen.
        """
        rest = memoryview(json.dumps(message, default=str).encode() + b"\n")
        deadline = time.monotonic() + SEND_SECONDS
        while rest:
            if self._process.poll() is not None:
                raise WorkerError(self._last_words())
            try:
                rest = rest[os.write(self._input.fileno(), rest) :]
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise WorkerError(f"not heard for {SEND_SECONDS:g} s") from None
                time.sleep(0.02)
            except BrokenPipeError:
                self._wait(SEND_SECONDS)
                raise WorkerError(self._last_words()) from None

    def end(self) -> list[str]:
        """Tell that no more is to come, wait, and return what the worker has to say.

        Raises:
            WorkerError: It failed, or did not end within ``END_SECONDS``.
        """
        self._input.close()
        if not self._wait(END_SECONDS):
            raise WorkerError(f"not done after {END_SECONDS:g} s")
        if self._process.returncode != 0:
            raise WorkerError(self._last_words())
        return self._read_lines()

    def leave(self) -> list[str]:
        """Tell that no more is to come; after ``LEAVE_SECONDS`` the worker goes on by itself.

        Returns what it has to say, if it is done by then.
        """
        self._input.close()
        if not self._wait(LEAVE_SECONDS):
            return []
        lines = self._read_lines()
        self.kill()
        return lines

    def kill(self) -> None:
        """End it now, whatever it does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._input, self._output):
            stream.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _wait(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _last_words(self) -> str:
        lines = self._read_lines()
        return lines[-1] if lines else f"its process ended with status {self._process.returncode}"

    def _read_lines(self) -> list[str]:
        """What an ended worker wrote."""
        if self._process.poll() is None:
            return []
        return self._output.read().decode(errors="replace").splitlines()
