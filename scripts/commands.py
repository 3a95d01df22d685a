"""Commands in processes of their own, with a time limit."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rps_bench.core.errors import ExplainedError

ROOT = Path(__file__).resolve().parents[1]


class Command(NamedTuple):
    """A finished command: its exit status (None: it reached its time limit) and its output."""

    status: int | None
    output: str
    seconds: float

    @property
    def last_line(self) -> str:
        """The last line of the output."""
        return (self.output.strip().splitlines() or ["it said nothing"])[-1]


def run_command(words: Sequence[str], seconds: float, **environment: str) -> Command:
    """Run a command; at the time limit, kill it and all processes that it started."""
    started = time.monotonic()
    process = subprocess.Popen(
        words,
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    status = None
    try:
        output, _ = process.communicate(timeout=seconds)
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return Command(status, output, time.monotonic() - started)


def run_python(words: Sequence[str], seconds: float, **environment: str) -> Command:
    """Run a Python module that must succeed.

    Raises:
        ExplainedError: The module failed or took too long.
    """
    done = run_command([sys.executable, "-m", *words], seconds, **environment)
    if done.status is None:
        raise ExplainedError(f"not done in {seconds:.0f} s; the last line: {done.last_line}")
    if done.status != 0:
        raise ExplainedError(f"status {done.status}: {done.last_line}")
    return done
