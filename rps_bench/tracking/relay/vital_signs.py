"""Signs of life of the worker: it touches its scratch folder, which waiting processes look at.

Seconds on the clock say nothing on a machine that is slow or suspended for a while. So both sides
count intervals in which they ran themselves: a suspended machine counts none.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

BEAT_SECONDS = 1.0
# Without progress the worker gives no more signs after this many beats, far more than any time
# limit of the packages: it must be hanging.
BEATS_PER_STEP = 300
LOOK_SECONDS = 0.25


class Heart:
    """A context that touches a folder as long as this process runs and makes progress."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._num_steps = 0
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def step(self) -> None:
        """Note that something was done."""
        self._num_steps += 1

    def _run(self) -> None:
        last_step, beats_left = self._num_steps, BEATS_PER_STEP
        while not self._has_ended.wait(BEAT_SECONDS):
            if self._num_steps != last_step:
                last_step, beats_left = self._num_steps, BEATS_PER_STEP
            if beats_left > 0:
                beats_left -= 1
                os.utime(self._folder)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._has_ended.set()
        self._thread.join()


def wait_while_alive(has_ended: Callable[[float], bool], folder: Path, longest: float) -> bool:
    """Wait for a process as long as it keeps touching its folder.

    Args:
        has_ended: Waits for at most the given seconds; returns whether the process has ended.
        folder: The folder that the process's ``Heart`` touches.
        longest: Seconds to wait without a sign of life, counted while this process runs.

    Returns:
        Whether the process has ended; if not, it gives no sign of life.
    """
    last_sign, quiet_looks = _sign(folder), 0
    while not has_ended(LOOK_SECONDS):
        # Quiet looks are counted, not clock time: see the module's docstring.
        sign = _sign(folder)
        quiet_looks = 0 if sign != last_sign else quiet_looks + 1
        last_sign = sign
        if quiet_looks * LOOK_SECONDS >= longest:
            return False
    return True


def _sign(folder: Path) -> int | None:
    try:
        return folder.stat().st_mtime_ns
    except FileNotFoundError:  # the worker removed it and is about to end
        return None
